//! A root fingerprint as a QR code, to be compared by a camera where two officers meet or see each other.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::key_set::Fingerprint;

/// Black on white, whatever the colours of the terminal are: cameras do not read every code that is light on dark.
const ON: &str = "\x1b[38;5;16;48;5;231m";
const OFF: &str = "\x1b[0m";

/// What the code of a fingerprint holds: its digits in capitals and without spaces, which takes the least room.
pub fn text(fingerprint: &Fingerprint) -> String {
    fingerprint.to_string().split(' ').collect::<String>().to_ascii_uppercase()
}

/// The code in half blocks, two rows to a line, with the margin that cameras need: at most 37 columns, 19 lines. With
/// `terminal` each line sets its colours; without it is ink, for paper.
pub fn draw(fingerprint: &Fingerprint, terminal: bool) -> String {
    let code =
        QrCode::with_error_correction_level(text(fingerprint), EcLevel::L).expect("64 letters and digits");
    let picture = code.render::<Dense1x2>().build();
    let (on, off) = if terminal { (ON, OFF) } else { ("", "") };
    picture.lines().map(|line| format!("{on}{line}{off}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera sees: each half block as a square of pixels, dark where there is ink.
    fn read(drawn: &str) -> String {
        let rows: Vec<Vec<bool>> = drawn
            .lines()
            .flat_map(|line| {
                let half = |up: bool| {
                    let inked = if up { ['█', '▀'] } else { ['█', '▄'] };
                    line.chars().map(|c| inked.contains(&c)).collect()
                };
                [half(true), half(false)]
            })
            .collect();
        const DOT: usize = 4;
        let shade = |x: usize, y: usize| if rows[y / DOT][x / DOT] { 0 } else { 255 };
        let (width, height) = (rows[0].len() * DOT, rows.len() * DOT);
        let mut seen = rqrr::PreparedImage::prepare_from_greyscale(width, height, shade);
        let codes = seen.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().expect("it can be read").1
    }

    #[test]
    fn another_program_reads_from_it_what_an_admission_takes() {
        for digits in ["0".repeat(64), "f".repeat(64), "0123456789abcdef".repeat(4)] {
            let fingerprint: Fingerprint = digits.parse().expect("64 digits");
            let drawn = draw(&fingerprint, false);
            let held = read(&drawn);
            assert_eq!(held, text(&fingerprint));
            assert_eq!(held.parse(), Ok(fingerprint));
            assert!(
                drawn.lines().count() <= 19 && drawn.lines().all(|line| line.chars().count() <= 37),
                "{drawn}"
            );
            // On a terminal it is the same picture.
            let coloured = draw(&fingerprint, true);
            assert!(coloured.lines().all(|line| line.starts_with(ON) && line.ends_with(OFF)));
            assert_eq!(coloured.replace(ON, "").replace(OFF, ""), drawn);
        }
    }
}
