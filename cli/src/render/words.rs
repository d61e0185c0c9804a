//! Codes as words, for people; programs take the JSON.

use liaison_protocol::item::FirearmType;
use serde::Serialize;

use super::code;

/// The word of a code list as people say it.
pub(crate) fn coded(value: &impl Serialize) -> String {
    word(&code(value))
}

/// Several of them.
pub(crate) fn list<T: Serialize>(values: &[T]) -> String {
    values.iter().map(coded).collect::<Vec<_>>().join(", ")
}

/// The same of a code as it is written.
pub(crate) fn word(code: &str) -> String {
    let known = WORDS.iter().find(|(known, _)| *known == code).map(|(_, words)| (*words).to_owned());
    let firearm =
        || FirearmType::ALL.iter().find(|kind| kind.as_str() == code).map(|kind| kind.name().to_owned());
    known.or_else(firearm).unwrap_or_else(|| code.to_lowercase().replace('_', " "))
}

/// A text in which a node has written codes: those of more than one word are put into words.
pub(crate) fn in_text(text: &str) -> String {
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut said = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_code) {
        let (before, at) = rest.split_at(start);
        let (run, after) = at.split_at(at.find(|c| !is_code(c)).unwrap_or(at.len()));
        let stands_alone = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-')
            && !after.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        let is_known =
            run.contains('_') || WORDS.iter().any(|(code, _)| *code == run) || OUTCOMES.contains(&run);
        said.push_str(before);
        said.push_str(&if stands_alone && is_known { word(run) } else { run.to_owned() });
        rest = after;
    }
    said + rest
}

/// Outcomes of one word.
const OUTCOMES: [&str; 8] =
    ["DELAYED", "DUPLICATE", "LOST", "OBJECTION", "REDIRECTED", "REFUSED", "RESTRICTED", "STOLEN"];

/// Codes that are not their own words.
const WORDS: &[(&str, &str)] = &[
    ("3D_PRINTED", "3D printed"),
    ("ART5_1A", "illicit manufacturing (Art. 5(1)(a))"),
    ("ART5_1B", "illicit trafficking (Art. 5(1)(b))"),
    ("ART5_1C", "marks falsified, obliterated, removed or altered (Art. 5(1)(c))"),
    ("ART5_2A", "attempt or participation (Art. 5(2)(a))"),
    ("ART5_2B", "organising or aiding (Art. 5(2)(b))"),
    ("CNC_PRIVATE", "privately milled"),
    ("COLLECTED_DDR", "collected in disarmament (DDR)"),
    ("CONFIDENTIALITY_CANNOT_BE_GUARANTEED", "confidentiality cannot be guaranteed"),
    ("CONFUSABLE", "look-alike"),
    ("EMERGENCY_THREAT_TO_LIFE", "EMERGENCY: a threat to life"),
    ("EVIDENCE_TO_BE_REQUESTED_BY_MLA", "evidence, to be requested by mutual legal assistance"),
    ("EXACT", "exact"),
    ("EXHAUSTED_UNSUCCESSFUL", "exhausted without success"),
    ("EX_GOVERNMENT_TRANSFER", "transfer from government stock"),
    ("GOVERNMENT_STOCK", "government stock"),
    ("IMPORTED_NO_DOMESTIC_RECORD", "imported, no domestic record"),
    ("IM_NO_LICENCE", "manufactured without a licence"),
    ("IM_PARTS", "manufactured from illicit parts"),
    ("IM_UNMARKED", "manufactured without marks"),
    ("IT_UNAUTHORISED", "transferred without authorisation"),
    ("IT_UNMARKED", "transferred without marks"),
    ("LAST_LEGAL_RECORD_ONLY", "last legal record only"),
    ("LOCAL_LAW", "illicit under local law"),
    ("MANUFACTURE_CONFIRMED_NO_DISPOSITION", "manufacture confirmed, disposition unknown"),
    ("MLA_REQUIRED", "mutual legal assistance required"),
    ("NONE", "none"),
    ("NORMALISED", "same but for spelling"),
    ("NOT_WITHIN_AVAILABLE_MEANS", "not within available means (Art. 12(4))"),
    ("NO_OBJECTION", "no objection"),
    ("NO_OBJECTION_WITH_CONDITIONS", "no objection, under conditions"),
    ("OTHER_STATES", "other States"),
    ("POD_ESTABLISHED", "point of diversion established"),
    ("PRIVATELY_MADE_NO_RECORD", "privately made, no record"),
    ("SEIZED_ADMINISTRATIVE", "seized in administrative proceedings"),
    ("SEIZED_CRIMINAL", "seized in criminal proceedings"),
    ("TRAFFICKING_IN_PERSONS", "trafficking in persons"),
    ("TRANSFERRED_GOV", "transferred to government"),
    ("UNLICENSED_MANUFACTURE", "manufactured by someone without a licence"),
    ("UNLICENSED_TRANSFER", "transferred by someone without a licence"),
    ("UNSC_EMBARGO", "against an embargo of the UN Security Council"),
    ("UNTOC_18_21", "a ground of UNTOC Art. 18(21)"),
    ("mla_required", "mutual legal assistance required"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use liaison_protocol::trace::{IllicitBasis, Offence, RecoveryMode, ResultCode, TraceGround};
    use liaison_protocol::transit::DecisionCode;

    #[test]
    fn every_code_reads_as_words() {
        let all = ResultCode::ALL
            .iter()
            .map(|code| code.as_str())
            .chain(IllicitBasis::ALL.iter().map(|code| code.as_str()))
            .chain(Offence::ALL.iter().map(|code| code.as_str()))
            .chain(RecoveryMode::ALL.iter().map(|code| code.as_str()))
            .chain(TraceGround::ALL.iter().map(|code| code.as_str()))
            .chain(DecisionCode::ALL.iter().map(|code| code.as_str()));
        for code in all {
            let words = word(code);
            assert!(!words.contains('_') && words != code, "{code}: {words}");
        }
        assert_eq!(word("F-PIS"), "pistol");
        assert_eq!(word("SHREDDED_2031"), "shredded 2031");
    }

    #[test]
    fn a_code_in_a_text_becomes_words_and_a_number_or_a_state_does_not() {
        assert_eq!(in_text("EXPORTED_TO KEN"), "exported to KEN");
        assert_eq!(in_text("PER answered interim: STOLEN"), "PER answered interim: stolen");
        assert_eq!(
            in_text("REFUSED (NATIONAL_SECURITY, UNTOC_18_21)"),
            "refused (national security, a ground of UNTOC Art. 18(21))"
        );
        assert_eq!(
            in_text("B7142 under KE-LOST-17, NO_OBJECTION until 2026-12-20"),
            "B7142 under KE-LOST-17, no objection until 2026-12-20"
        );
    }
}
