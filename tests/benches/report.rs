//! What was measured: each figure with its ratio to a limit of the same run, what was asked for, and whether it is met.

use std::time::Duration;

/// All figures so far. Each is printed as it comes, and all again at the end.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<[String; 5]>,
}

impl Report {
    /// A figure, its ratio to a limit, the target in words, and whether it is met; `None`: nothing was asked for.
    pub(crate) fn figure(
        &mut self,
        what: &str,
        value: String,
        ratio: String,
        target: &str,
        met: Option<bool>,
    ) {
        let met = match met {
            Some(true) => "met",
            Some(false) => "NOT met",
            None => "",
        };
        println!("  {what}: {value}{}{ratio}  {}{target} {met}", gap(&ratio), gap(target));
        self.rows.push([what.into(), value, ratio, target.into(), met.into()]);
    }

    /// A figure nothing was asked for.
    pub(crate) fn told(&mut self, what: &str, value: String) {
        self.figure(what, value, String::new(), "", None);
    }

    /// Everything, as one table.
    pub(crate) fn print(&self) {
        let head = ["figure", "value", "ratio to the limit", "asked for", ""].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..5)
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        println!();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

fn gap(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "; " }
}

/// Milliseconds with one or two digits.
pub(crate) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.1} ms") }
}

/// The time below which a share of these lie, in thousandths; they are sorted.
pub(crate) fn quantile(sorted: &[Duration], thousandths: usize) -> Duration {
    let place = sorted.len() * thousandths / 1000;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
