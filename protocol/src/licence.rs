//! Licences: what is asked of the State that issued one, and what it may answer (Art. 10(2)(a), 10(5)).
//!
//! The answer speaks only of fields that were presented: whoever holds the document learns whether it
//! is genuine; whoever guesses learns nothing he did not say himself. Comparing a record with what was
//! presented is done here, so that an officer and an automatic rule answer alike.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{BadName, Line, Prose, StateCode, breaks_line, checked_text};
use crate::handling::Coded;

/// Most lines of goods on one licence.
pub const MAX_LINES: usize = 100;

checked_text!(
    /// The number of a licence as printed on it.
    LicenceNo,
    "licence number",
    "1 to 64 characters, no control characters",
    |text| (1..=64).contains(&text.chars().count())
        && !text.chars().any(breaks_line)
        && text.chars().any(char::is_alphanumeric)
);

impl LicenceNo {
    /// The form in which numbers are compared and looked up: capital letters, no spaces.
    pub fn canonical(&self) -> String {
        in_capitals(self.as_str()).filter(|character| !character.is_whitespace()).collect()
    }
}

/// What a licence permits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the code list")]
pub enum LicenceKind {
    Brokering,
    Export,
    Global,
    Import,
    Multiple,
    Temporary,
    Transit,
}

/// One line of goods: description and quantity (Art. 10(3)).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct GoodsLine {
    /// The line's number on the licence, from 1.
    pub line: u32,
    /// What the goods are.
    pub description: Line,
    /// How many.
    pub quantity: u64,
    /// Of what: `pieces`, `rounds`, `kg`.
    pub unit: Line,
}

/// The fields of a licence as they stand on a document.
///
/// All are optional but the number: only what the asking State presents is compared.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Presented {
    /// The licence's number.
    pub licence_no: LicenceNo,
    /// What it permits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_kind: Option<LicenceKind>,
    /// Version of the document, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Who issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing_authority: Option<Line>,
    /// Where it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_of_issue: Option<Line>,
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub issue_date: Option<Date>,
    /// Its last day of validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub expiry_date: Option<Date>,
    /// Exporting State.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_export: Option<StateCode>,
    /// Importing State.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_import: Option<StateCode>,
    /// Who finally receives the goods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_recipient: Option<Line>,
    /// The goods, at most [`MAX_LINES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<GoodsLine>,
}

impl Presented {
    /// Only the number presented.
    pub fn number(licence_no: LicenceNo) -> Self {
        Self {
            licence_no,
            licence_kind: None,
            version: None,
            issuing_authority: None,
            place_of_issue: None,
            issue_date: None,
            expiry_date: None,
            country_export: None,
            country_import: None,
            final_recipient: None,
            lines: Vec::new(),
        }
    }

    /// The fields presented beside the number.
    pub fn fields(&self) -> Vec<Field> {
        Field::ALL.into_iter().filter(|field| field.is_presented(self)).collect()
    }

    /// a verification presents the document, not a guess: date of issue, final recipient and goods at
    /// least. Returns what is missing.
    pub fn missing_for_verification(&self) -> Vec<Field> {
        Field::TELLING.into_iter().filter(|field| !field.is_presented(self)).collect()
    }

    /// a check of authenticity presents at least one field that only the document tells.
    pub fn enough_for_authenticity(&self) -> bool {
        Field::TELLING.into_iter().any(|field| field.is_presented(self))
    }

    /// Whether the lists are within their bounds and the line numbers are distinct.
    pub fn is_bounded(&self) -> bool {
        let mut numbers: Vec<u32> = self.lines.iter().map(|line| line.line).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.lines.len() <= MAX_LINES && numbers.len() == self.lines.len()
    }
}

/// A field of a licence that can be presented and compared.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the field of `Presented` of that name")]
pub enum Field {
    CountryExport,
    CountryImport,
    ExpiryDate,
    FinalRecipient,
    IssueDate,
    IssuingAuthority,
    LicenceKind,
    Lines,
    PlaceOfIssue,
    Version,
}

impl Field {
    const ALL: [Self; 10] = [
        Self::CountryExport,
        Self::CountryImport,
        Self::ExpiryDate,
        Self::FinalRecipient,
        Self::IssueDate,
        Self::IssuingAuthority,
        Self::LicenceKind,
        Self::Lines,
        Self::PlaceOfIssue,
        Self::Version,
    ];

    /// The fields that whoever holds the document knows and whoever guesses does not.
    const TELLING: [Self; 3] = [Self::IssueDate, Self::FinalRecipient, Self::Lines];

    fn is_presented(self, by: &Presented) -> bool {
        match self {
            Self::CountryExport => by.country_export.is_some(),
            Self::CountryImport => by.country_import.is_some(),
            Self::ExpiryDate => by.expiry_date.is_some(),
            Self::FinalRecipient => by.final_recipient.is_some(),
            Self::IssueDate => by.issue_date.is_some(),
            Self::IssuingAuthority => by.issuing_authority.is_some(),
            Self::LicenceKind => by.licence_kind.is_some(),
            Self::Lines => !by.lines.is_empty(),
            Self::PlaceOfIssue => by.place_of_issue.is_some(),
            Self::Version => by.version.is_some(),
        }
    }

    fn agrees(self, presented: &Presented, record: &Presented) -> bool {
        fn text(a: &Option<Line>, b: &Option<Line>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => reads_alike(a.as_str(), b.as_str()),
                _ => false,
            }
        }
        match self {
            Self::CountryExport => presented.country_export == record.country_export,
            Self::CountryImport => presented.country_import == record.country_import,
            Self::ExpiryDate => presented.expiry_date == record.expiry_date,
            Self::FinalRecipient => text(&presented.final_recipient, &record.final_recipient),
            Self::IssueDate => presented.issue_date == record.issue_date,
            Self::IssuingAuthority => text(&presented.issuing_authority, &record.issuing_authority),
            Self::LicenceKind => presented.licence_kind == record.licence_kind,
            Self::Lines => lines_agree(&presented.lines, &record.lines),
            Self::PlaceOfIssue => text(&presented.place_of_issue, &record.place_of_issue),
            // An older version is told apart by the answer itself; one that does not exist yet does not agree.
            Self::Version => presented.version <= Some(record.version.unwrap_or(1)),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CountryExport => "country_export",
            Self::CountryImport => "country_import",
            Self::ExpiryDate => "expiry_date",
            Self::FinalRecipient => "final_recipient",
            Self::IssueDate => "issue_date",
            Self::IssuingAuthority => "issuing_authority",
            Self::LicenceKind => "licence_kind",
            Self::Lines => "lines",
            Self::PlaceOfIssue => "place_of_issue",
            Self::Version => "version",
        })
    }
}

/// Every presented line must stand on the licence as it is; lines that were not presented are not spoken of.
fn lines_agree(presented: &[GoodsLine], record: &[GoodsLine]) -> bool {
    presented.iter().all(|line| {
        record.iter().any(|ours| {
            ours.line == line.line
                && ours.quantity == line.quantity
                && reads_alike(ours.unit.as_str(), line.unit.as_str())
                && reads_alike(ours.description.as_str(), line.description.as_str())
        })
    })
}

/// Texts agree when they differ only in case and white space.
fn reads_alike(one: &str, other: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b) || in_capitals(a).eq(in_capitals(b));
    let (mut words, mut others) = (one.split_whitespace(), other.split_whitespace());
    loop {
        match (words.next(), others.next()) {
            (Some(word), Some(other)) if same(word, other) => {}
            (words_end, others_end) => return words_end.is_none() && others_end.is_none(),
        }
    }
}

fn in_capitals(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_uppercase)
}

/// How a licence stands in its issuer's register.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LicenceStatus {
    /// In force, within its dates.
    Active,
    /// Used up.
    Exhausted,
    /// Past its last day.
    Expired,
    /// Applied for, not issued yet.
    Pending,
    /// Withdrawn for good.
    Revoked,
    /// Out of force for the time being.
    Suspended,
}

impl LicenceStatus {
    /// The word of the code list.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Exhausted => "EXHAUSTED",
            Self::Expired => "EXPIRED",
            Self::Pending => "PENDING",
            Self::Revoked => "REVOKED",
            Self::Suspended => "SUSPENDED",
        }
    }
}

impl fmt::Display for LicenceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A licence in its issuer's own register.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LicenceRecord {
    /// What stands on it.
    pub content: Presented,
    /// How it stands.
    pub status: LicenceStatus,
}

impl LicenceRecord {
    /// The status on the day `today`: an active licence past its last day has expired, and one before its
    /// first day is not issued yet.
    pub fn status_on(&self, today: Date) -> LicenceStatus {
        match self.status {
            LicenceStatus::Active if self.content.expiry_date.is_some_and(|last| last < today) => {
                LicenceStatus::Expired
            }
            LicenceStatus::Active if self.content.issue_date.is_some_and(|first| first > today) => {
                LicenceStatus::Pending
            }
            status => status,
        }
    }
}

/// Whether everything presented agrees with the record: only then is later news of it told.
pub fn agrees(record: &LicenceRecord, presented: &Presented) -> bool {
    differences(presented, &record.content).is_empty()
}

/// The presented fields that do not agree with the record. Never names a field that was not presented.
fn differences(presented: &Presented, record: &Presented) -> Vec<Field> {
    presented.fields().into_iter().filter(|field| !field.agrees(presented, record)).collect()
}

/// The answer to a licence verification (Art. 10(2)(a)).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "answer", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Answer {
    /// The importing State cannot say; an answer, not an error.
    CannotConfirm {
        /// Why.
        ground: Coded<Ground>,
    },
    /// Used up.
    Exhausted,
    /// Past its last day.
    Expired,
    /// No such licence.
    NotFound,
    /// Applied for, not issued.
    PendingNotYetIssued,
    /// Withdrawn for good.
    Revoked,
    /// Out of force for the time being.
    Suspended,
    /// In force, and everything presented agrees.
    Valid {
        /// Its last day, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = Date)]
        valid_until: Option<Date>,
    },
    /// In force, but some presented fields do not agree.
    ValidWithDifferences {
        /// Which; only fields that were presented.
        differences: Vec<Field>,
    },
}

impl Answer {
    /// The word of the code list.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CannotConfirm { .. } => "CANNOT_CONFIRM",
            Self::Exhausted => "EXHAUSTED",
            Self::Expired => "EXPIRED",
            Self::NotFound => "NOT_FOUND",
            Self::PendingNotYetIssued => "PENDING_NOT_YET_ISSUED",
            Self::Revoked => "REVOKED",
            Self::Suspended => "SUSPENDED",
            Self::Valid { .. } => "VALID",
            Self::ValidWithDifferences { .. } => "VALID_WITH_DIFFERENCES",
        }
    }

    pub(crate) fn codes_are_known(&self) -> bool {
        !matches!(self, Self::CannotConfirm { ground: Coded::Unknown(_) })
    }

    /// How the licence stands, as whoever reads this must believe.
    pub fn told(&self) -> Option<LicenceStatus> {
        match self {
            Self::CannotConfirm { .. } | Self::NotFound => None,
            Self::Exhausted => Some(LicenceStatus::Exhausted),
            Self::Expired => Some(LicenceStatus::Expired),
            Self::PendingNotYetIssued => Some(LicenceStatus::Pending),
            Self::Revoked => Some(LicenceStatus::Revoked),
            Self::Suspended => Some(LicenceStatus::Suspended),
            Self::Valid { .. } | Self::ValidWithDifferences { .. } => Some(LicenceStatus::Active),
        }
    }

    /// whether every field it names was presented.
    pub fn speaks_only_of(&self, presented: &Presented) -> bool {
        match self {
            Self::ValidWithDifferences { differences } => only(differences, presented),
            _ => true,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::CannotConfirm { ground: Coded::Known(ground) } => write!(f, " ({ground})"),
            Self::CannotConfirm { ground: Coded::Unknown(ground) } => write!(f, " ({ground})"),
            Self::Valid { valid_until: Some(last) } => write!(f, " until {last}"),
            Self::ValidWithDifferences { differences } => write!(f, " in {}", join(differences)),
            _ => Ok(()),
        }
    }
}

/// Why a State cannot confirm a licence.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ground {
    /// Law protecting confidential information.
    ConfidentialityLaw,
    /// Another authority of the State issues such licences.
    NotOurCompetence,
    /// Not within available means (Art. 10(5)).
    NotWithinAvailableMeans,
    /// An investigation is under way.
    OngoingInvestigation,
    /// The records are lost or too old.
    RecordsUnavailable,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfidentialityLaw => "CONFIDENTIALITY_LAW",
            Self::NotOurCompetence => "NOT_OUR_COMPETENCE",
            Self::NotWithinAvailableMeans => "NOT_WITHIN_AVAILABLE_MEANS",
            Self::OngoingInvestigation => "ONGOING_INVESTIGATION",
            Self::RecordsUnavailable => "RECORDS_UNAVAILABLE",
        })
    }
}

/// The result of an authenticity check (Art. 10(5), R-10.5).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Authenticity {
    /// Genuine, but a newer version exists.
    Amended,
    /// Used up.
    Exhausted,
    /// Past its last day.
    Expired,
    /// Everything presented agrees.
    Match,
    /// Some presented fields do not agree.
    Mismatch {
        /// Which; only fields that were presented.
        fields: Vec<Field>,
    },
    /// Withdrawn for good.
    Revoked,
    /// Out of force for the time being.
    Suspended,
    /// No such document, or not one that can be spoken of.
    Unknown,
}

impl Authenticity {
    /// The word of the code list.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Amended => "AMENDED",
            Self::Exhausted => "EXHAUSTED",
            Self::Expired => "EXPIRED",
            Self::Match => "MATCH",
            Self::Mismatch { .. } => "MISMATCH",
            Self::Revoked => "REVOKED",
            Self::Suspended => "SUSPENDED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// How the licence stands, as whoever reads this must believe.
    pub fn told(&self) -> Option<LicenceStatus> {
        match self {
            Self::Amended | Self::Match | Self::Mismatch { .. } => Some(LicenceStatus::Active),
            Self::Exhausted => Some(LicenceStatus::Exhausted),
            Self::Expired => Some(LicenceStatus::Expired),
            Self::Revoked => Some(LicenceStatus::Revoked),
            Self::Suspended => Some(LicenceStatus::Suspended),
            Self::Unknown => None,
        }
    }

    /// whether every field it names was presented.
    pub fn speaks_only_of(&self, presented: &Presented) -> bool {
        match self {
            Self::Mismatch { fields } => only(fields, presented),
            _ => true,
        }
    }
}

impl fmt::Display for Authenticity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Mismatch { fields } => write!(f, " in {}", join(fields)),
            _ => Ok(()),
        }
    }
}

fn only(named: &[Field], presented: &Presented) -> bool {
    let fields = presented.fields();
    !named.is_empty() && named.len() <= fields.len() && named.iter().all(|field| fields.contains(field))
}

fn join(fields: &[Field]) -> String {
    fields.iter().map(Field::to_string).collect::<Vec<_>>().join(", ")
}

/// The record, if what is presented is that document at all: of the fields that only the document tells, one agrees.
/// A number with guesses around it is told no more than a number that does not exist.
fn document<'a>(record: Option<&'a LicenceRecord>, presented: &Presented) -> Option<&'a LicenceRecord> {
    let tells = |field: &Field, record: &LicenceRecord| {
        field.is_presented(presented) && field.agrees(presented, &record.content)
    };
    record.filter(|record| Field::TELLING.iter().any(|field| tells(field, record)))
}

/// What the register says to a verification: the answer that stops an export comes before the one that
/// lists differences.
pub fn verify(record: Option<&LicenceRecord>, presented: &Presented, today: Date) -> Answer {
    let Some(record) = document(record, presented) else { return Answer::NotFound };
    match record.status_on(today) {
        LicenceStatus::Exhausted => Answer::Exhausted,
        LicenceStatus::Expired => Answer::Expired,
        LicenceStatus::Pending => Answer::PendingNotYetIssued,
        LicenceStatus::Revoked => Answer::Revoked,
        LicenceStatus::Suspended => Answer::Suspended,
        LicenceStatus::Active => {
            let mut differences = differences(presented, &record.content);
            if is_old_version(presented, record) {
                differences.push(Field::Version);
            }
            if differences.is_empty() {
                Answer::Valid { valid_until: record.content.expiry_date }
            } else {
                Answer::ValidWithDifferences { differences }
            }
        }
    }
}

/// What the register says to an authenticity check.
pub fn authenticate(record: Option<&LicenceRecord>, presented: &Presented, today: Date) -> Authenticity {
    let Some(record) = document(record, presented) else { return Authenticity::Unknown };
    match record.status_on(today) {
        LicenceStatus::Exhausted => Authenticity::Exhausted,
        LicenceStatus::Expired => Authenticity::Expired,
        // Before it is issued there is no document that could be genuine.
        LicenceStatus::Pending => Authenticity::Unknown,
        LicenceStatus::Revoked => Authenticity::Revoked,
        LicenceStatus::Suspended => Authenticity::Suspended,
        LicenceStatus::Active if is_old_version(presented, record) => Authenticity::Amended,
        LicenceStatus::Active => match differences(presented, &record.content) {
            fields if fields.is_empty() => Authenticity::Match,
            fields => Authenticity::Mismatch { fields },
        },
    }
}

fn is_old_version(presented: &Presented, record: &LicenceRecord) -> bool {
    presented.version.is_some_and(|version| version < record.content.version.unwrap_or(1))
}

/// What can become of a licence after it was asked about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the code list")]
pub enum LicenceEvent {
    Amended,
    Exhausted,
    Expired,
    Issued,
    Reinstated,
    Revoked,
    Suspended,
}

impl LicenceEvent {
    /// What became of a licence that stood as `before` and stands as `after`, each a status and a version.
    /// `None` if nothing that concerns those who asked.
    pub fn between(before: Option<(LicenceStatus, u32)>, after: (LicenceStatus, u32)) -> Option<Self> {
        let was = before.map(|(status, _)| status);
        match after.0 {
            _ if before == Some(after) => None,
            LicenceStatus::Active if was == Some(LicenceStatus::Active) => Some(Self::Amended),
            LicenceStatus::Active if matches!(was, None | Some(LicenceStatus::Pending)) => Some(Self::Issued),
            LicenceStatus::Active => Some(Self::Reinstated),
            status if was == Some(status) => None,
            LicenceStatus::Exhausted => Some(Self::Exhausted),
            LicenceStatus::Expired => Some(Self::Expired),
            LicenceStatus::Pending => None,
            LicenceStatus::Revoked => Some(Self::Revoked),
            LicenceStatus::Suspended => Some(Self::Suspended),
        }
    }
}

impl fmt::Display for LicenceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Amended => "AMENDED",
            Self::Exhausted => "EXHAUSTED",
            Self::Expired => "EXPIRED",
            Self::Issued => "ISSUED",
            Self::Reinstated => "REINSTATED",
            Self::Revoked => "REVOKED",
            Self::Suspended => "SUSPENDED",
        })
    }
}

/// A later change of a licence, told to those who asked about it (law/requirements §6.1, no. 19).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LicenceNotice {
    /// The licence.
    pub licence_no: LicenceNo,
    /// What became of it.
    pub event: Coded<LicenceEvent>,
    /// Since when.
    #[schema(value_type = String, format = Date)]
    pub effective: Date,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn line(text: &str) -> Option<Line> {
        Some(text.parse().expect("a line"))
    }

    fn record() -> LicenceRecord {
        let mut content = Presented::number("KE-IMP 2026/0042".parse().expect("a number"));
        content.licence_kind = Some(LicenceKind::Import);
        content.version = Some(2);
        content.issuing_authority = line("Firearms Licensing Board");
        content.place_of_issue = line("Nairobi");
        content.issue_date = Some(date("2026-03-01"));
        content.expiry_date = Some(date("2027-02-28"));
        content.country_export = Some("PER".parse().expect("a State"));
        content.country_import = Some("KEN".parse().expect("a State"));
        content.final_recipient = line("Kenya Wildlife Service");
        content.lines = vec![
            GoodsLine {
                line: 1,
                description: line("Rifle, bolt action, .308").expect("set"),
                quantity: 40,
                unit: line("pieces").expect("set"),
            },
            GoodsLine {
                line: 2,
                description: line("Cartridges .308").expect("set"),
                quantity: 8000,
                unit: line("rounds").expect("set"),
            },
        ];
        LicenceRecord { content, status: LicenceStatus::Active }
    }

    const TODAY: &str = "2026-11-23";

    #[test]
    fn texts_that_differ_in_case_and_white_space_read_alike() {
        for (one, other) in
            [("Waffen Meier", "  WAFFEN\u{a0}meier "), ("Stra\u{df}e 1", "STRASSE 1"), ("", " ")]
        {
            assert!(reads_alike(one, other) && reads_alike(other, one), "{one} | {other}");
        }
        for (one, other) in [("a b", "a"), ("ab", "a b"), ("a", "b"), ("a", "a a"), ("", "a")] {
            assert!(!reads_alike(one, other) && !reads_alike(other, one), "{one} | {other}");
        }
    }

    #[test]
    fn r_10_5_the_genuine_document_is_valid_whatever_subset_is_presented() {
        let record = record();
        assert_eq!(
            verify(Some(&record), &record.content, date(TODAY)),
            Answer::Valid { valid_until: Some(date("2027-02-28")) }
        );
        let mut partly = Presented::number("ke-imp  2026/0042".parse().expect("a number"));
        partly.final_recipient = line("KENYA  wildlife service");
        partly.lines = vec![record.content.lines[1].clone()];
        assert_eq!(authenticate(Some(&record), &partly, date(TODAY)), Authenticity::Match);
    }

    #[test]
    fn r_10_5_an_answer_never_names_a_field_that_was_not_presented() {
        let record = record();
        let wrong = {
            let mut wrong = record.content.clone();
            wrong.licence_kind = Some(LicenceKind::Export);
            wrong.issuing_authority = line("x");
            wrong.place_of_issue = line("x");
            wrong.issue_date = Some(date("2020-01-01"));
            wrong.expiry_date = Some(date("2030-01-01"));
            wrong.country_export = Some("XXX".parse().expect("a State"));
            wrong.country_import = Some("XXX".parse().expect("a State"));
            wrong.final_recipient = line("x");
            wrong.lines[0].quantity += 1;
            wrong.version = Some(1);
            wrong
        };
        // Every subset of the ten fields, all of them wrong.
        for subset in 0u32..1 << 10 {
            let keep = |bit: u32| subset & (1 << bit) != 0;
            let mut presented = Presented::number(record.content.licence_no.clone());
            presented.licence_kind = wrong.licence_kind.filter(|_| keep(0));
            presented.issuing_authority = wrong.issuing_authority.clone().filter(|_| keep(1));
            presented.place_of_issue = wrong.place_of_issue.clone().filter(|_| keep(2));
            // Of the fields that only the document tells, the others are right: all wrong is another document.
            presented.issue_date = if keep(3) { wrong.issue_date } else { record.content.issue_date };
            presented.expiry_date = wrong.expiry_date.filter(|_| keep(4));
            presented.country_export = wrong.country_export.clone().filter(|_| keep(5));
            presented.country_import = wrong.country_import.clone().filter(|_| keep(6));
            let recipient = if keep(7) { &wrong.final_recipient } else { &record.content.final_recipient };
            presented.final_recipient = recipient.clone();
            presented.lines = if keep(8) { wrong.lines.clone() } else { record.content.lines.clone() };
            presented.version = wrong.version.filter(|_| keep(9));

            let answer = verify(Some(&record), &presented, date(TODAY));
            assert!(answer.speaks_only_of(&presented), "{answer}");
            match &answer {
                Answer::NotFound => assert!(keep(3) && keep(7) && keep(8)),
                Answer::Valid { .. } => assert_eq!(subset, 0),
                Answer::ValidWithDifferences { differences } => {
                    assert_eq!(differences.len(), subset.count_ones() as usize)
                }
                other => panic!("{other}"),
            }
            let result = authenticate(Some(&record), &presented, date(TODAY));
            assert!(result.speaks_only_of(&presented), "{result}");
        }
    }

    #[test]
    fn every_status_has_its_answer() {
        use LicenceStatus::*;
        let mut record = record();
        let content = record.content.clone();
        for (status, day, answer, result) in [
            (Active, TODAY, "VALID", "MATCH"),
            (Active, "2027-02-28", "VALID", "MATCH"),
            (Active, "2027-03-01", "EXPIRED", "EXPIRED"),
            (Active, "2026-02-28", "PENDING_NOT_YET_ISSUED", "UNKNOWN"),
            (Exhausted, TODAY, "EXHAUSTED", "EXHAUSTED"),
            (Expired, TODAY, "EXPIRED", "EXPIRED"),
            (Pending, TODAY, "PENDING_NOT_YET_ISSUED", "UNKNOWN"),
            (Revoked, "2030-01-01", "REVOKED", "REVOKED"),
            (Suspended, TODAY, "SUSPENDED", "SUSPENDED"),
        ] {
            record.status = status;
            assert_eq!(verify(Some(&record), &content, date(day)).as_str(), answer);
            assert_eq!(authenticate(Some(&record), &content, date(day)).as_str(), result);
        }
        assert_eq!(verify(None, &content, date(TODAY)), Answer::NotFound);
        assert_eq!(authenticate(None, &content, date(TODAY)), Authenticity::Unknown);
    }

    #[test]
    fn an_answer_is_told_in_one_line_with_all_that_it_says() {
        let differences = vec![Field::Lines, Field::Version];
        for (answer, words) in [
            (Answer::Valid { valid_until: None }, "VALID"),
            (Answer::Valid { valid_until: Some(date("2027-02-28")) }, "VALID until 2027-02-28"),
            (Answer::ValidWithDifferences { differences }, "VALID_WITH_DIFFERENCES in lines, version"),
            (
                Answer::CannotConfirm { ground: Coded::Known(Ground::OngoingInvestigation) },
                "CANNOT_CONFIRM (ONGOING_INVESTIGATION)",
            ),
            (
                Answer::CannotConfirm { ground: Coded::Unknown(line("STRIKE").expect("a line")) },
                "CANNOT_CONFIRM (STRIKE)",
            ),
        ] {
            assert_eq!(answer.to_string(), words);
        }
    }

    #[test]
    fn what_is_said_of_a_document_tells_how_its_licence_stands() {
        let fields = vec![Field::Lines];
        for (said, told) in [
            (Authenticity::Amended, Some(LicenceStatus::Active)),
            (Authenticity::Exhausted, Some(LicenceStatus::Exhausted)),
            (Authenticity::Expired, Some(LicenceStatus::Expired)),
            (Authenticity::Match, Some(LicenceStatus::Active)),
            (Authenticity::Mismatch { fields }, Some(LicenceStatus::Active)),
            (Authenticity::Revoked, Some(LicenceStatus::Revoked)),
            (Authenticity::Suspended, Some(LicenceStatus::Suspended)),
            (Authenticity::Unknown, None),
        ] {
            assert_eq!(said.told(), told, "{said}");
        }
    }

    #[test]
    fn an_older_version_is_told_apart() {
        let record = record();
        let mut older = record.content.clone();
        older.version = Some(1);
        assert_eq!(
            verify(Some(&record), &older, date(TODAY)),
            Answer::ValidWithDifferences { differences: vec![Field::Version] }
        );
        assert_eq!(authenticate(Some(&record), &older, date(TODAY)), Authenticity::Amended);
        // One that was never issued is no older one.
        older.version = Some(3);
        let fields = vec![Field::Version];
        assert_eq!(
            verify(Some(&record), &older, date(TODAY)),
            Answer::ValidWithDifferences { differences: fields.clone() }
        );
        assert_eq!(authenticate(Some(&record), &older, date(TODAY)), Authenticity::Mismatch { fields });
    }

    #[test]
    fn r_10_5_a_guess_is_not_a_document() {
        let record = record();
        let bare = Presented::number(record.content.licence_no.clone());
        assert_eq!(bare.missing_for_verification(), [Field::IssueDate, Field::FinalRecipient, Field::Lines]);
        assert!(!bare.enough_for_authenticity());
        assert!(record.content.missing_for_verification().is_empty());
    }

    #[test]
    fn line_numbers_are_distinct_and_bounded() {
        let mut content = record().content;
        content.lines[1].line = 1;
        assert!(!content.is_bounded());
        content.lines =
            (0..=100).map(|n| GoodsLine { line: n, ..record().content.lines[0].clone() }).collect();
        assert!(!content.is_bounded());
    }
}
