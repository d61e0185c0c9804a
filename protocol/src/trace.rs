//! Traces: what is asked about an item that may have been illicitly manufactured or trafficked, and what the
//! requested State may answer (Art. 12(4); ITI 17 to 23).
//!
//! A trace seldom ends with one question: each answer may name the State to ask next. A trace *case* owns that
//! chain of hops and ends at the point of diversion, or says why not (`case.rs`). A refusal is an answer and
//! carries its ground (R-ITI-22).

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{Line, Prose, StateCode};
use crate::handling::{Coded, code_list};
use crate::item::Item;
use crate::licence::LicenceNo;
use crate::message::MessageId;

/// Most values in one coded list of a request or response.
const MAX_CODES: usize = 16;
/// Most events in one response.
pub const MAX_EVENTS: usize = 64;
/// Most registers or references named in one list.
const MAX_NAMED: usize = 16;

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Urgency {
    /// A threat to life: hours count.
    EmergencyThreatToLife,
    /// No particular haste.
    #[default]
    Routine,
    /// Sooner than routine, for a reason given (UNTOC 18(24)).
    Urgent,
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EmergencyThreatToLife => "EMERGENCY_THREAT_TO_LIFE",
            Self::Routine => "ROUTINE",
            Self::Urgent => "URGENT",
        })
    }
}

code_list! {
    /// Why the item may be illicit (ITI 6; Art. 3(d), 3(e)).
    IllicitBasis {
        ImNoLicence = "IM_NO_LICENCE",
        ImParts = "IM_PARTS",
        ImUnmarked = "IM_UNMARKED",
        ItUnauthorised = "IT_UNAUTHORISED",
        ItUnmarked = "IT_UNMARKED",
        LocalLaw = "LOCAL_LAW",
        NotMarked = "NOT_MARKED",
        Suspected = "SUSPECTED",
        UnlicensedManufacture = "UNLICENSED_MANUFACTURE",
        UnlicensedTransfer = "UNLICENSED_TRANSFER",
        UnscEmbargo = "UNSC_EMBARGO",
    }
}

code_list! {
    /// Offences of Art. 5, as far as suspected.
    Offence {
        Article5Para1A = "ART5_1A",
        Article5Para1B = "ART5_1B",
        Article5Para1C = "ART5_1C",
        Article5Para2A = "ART5_2A",
        Article5Para2B = "ART5_2B",
        OtherSeriousCrime = "OTHER_SERIOUS_CRIME",
        Unknown = "UNKNOWN",
    }
}

code_list! {
    /// How the item came into the hands of the State that asks (SDG 16.4.2).
    RecoveryMode {
        CollectedDdr = "COLLECTED_DDR",
        Found = "FOUND",
        Other = "OTHER",
        SeizedAdministrative = "SEIZED_ADMINISTRATIVE",
        SeizedCriminal = "SEIZED_CRIMINAL",
        Surrendered = "SURRENDERED",
    }
}

code_list! {
    /// In what sort of crime the item was met.
    CriminalContext {
        DomesticViolence = "DOMESTIC_VIOLENCE",
        DrugTrafficking = "DRUG_TRAFFICKING",
        MigrantSmuggling = "MIGRANT_SMUGGLING",
        NoneKnown = "NONE_KNOWN",
        OrganisedCrime = "ORGANISED_CRIME",
        Piracy = "PIRACY",
        Poaching = "POACHING",
        Robbery = "ROBBERY",
        Terrorism = "TERRORISM",
        TraffickingInPersons = "TRAFFICKING_IN_PERSONS",
        Unknown = "UNKNOWN",
        ViolentCrime = "VIOLENT_CRIME",
    }
}

code_list! {
    /// Who identified the item, and how well.
    IdentificationConfidence {
        ExpertExamined = "EXPERT_EXAMINED",
        PhotoOnly = "PHOTO_ONLY",
        TrainedOfficer = "TRAINED_OFFICER",
        Untrained = "UNTRAINED",
    }
}

code_list! {
    /// What is asked.
    TraceQuestion {
        ConfirmManufacture = "CONFIRM_MANUFACTURE",
        Deactivation = "DEACTIVATION",
        Disposition = "DISPOSITION",
        IdentifyMark = "IDENTIFY_MARK",
        ImportExportRecords = "IMPORT_EXPORT_RECORDS",
        LastLegalHolder = "LAST_LEGAL_HOLDER",
        LicenceBehind = "LICENCE_BEHIND",
        TheftStatus = "THEFT_STATUS",
    }
}

code_list! {
    /// What the answer will be used for (ITI 18(c)).
    IntendedUse {
        Administrative = "ADMINISTRATIVE",
        EvidenceToBeRequestedByMla = "EVIDENCE_TO_BE_REQUESTED_BY_MLA",
        Intelligence = "INTELLIGENCE",
        Investigation = "INVESTIGATION",
        Statistics = "STATISTICS",
    }
}

code_list! {
    /// Whom the requested State must not contact about the request (UNTOC 18(20)).
    Contactee {
        Carrier = "CARRIER",
        Dealer = "DEALER",
        Manufacturer = "MANUFACTURER",
        OtherStates = "OTHER_STATES",
        Possessor = "POSSESSOR",
    }
}

/// When, where and how the item was found (ITI 17, 18(a)).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Recovery {
    /// How it came into the hands of the State that asks.
    pub mode: Coded<RecoveryMode>,
    /// On which day.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// Where: province and district, or a border point.
    pub place: Line,
    /// Under which circumstances.
    pub circumstances: Prose,
}

/// The search in the asking State's own records, which comes first (ISACS 05.31).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NationalSearch {
    /// The registers searched, 1 to 16.
    pub registers: Vec<Line>,
    /// On which day.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// What was found.
    pub result: Prose,
}

/// The hop before: whose answer led here.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PreviousHop {
    /// Of which State.
    pub state: StateCode,
    /// The message that named us.
    #[schema(value_type = String)]
    pub response: MessageId,
}

/// A request to trace an item (Art. 12(4)).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TraceRequest {
    /// The asking State's trace case, opaque to the State that is asked: it groups hops.
    pub trace_case: Line,
    /// The number of this hop in its case, from 1.
    pub hop: u32,
    /// Whose answer led to this hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_hop: Option<PreviousHop>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Why, unless it is routine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency_reason: Option<Prose>,
    /// By when an answer is hoped for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub respond_by: Option<Date>,
    /// Why by then (UNTOC 18(24)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by_reason: Option<Prose>,
    /// Why the item may be illicit, 1 to 16.
    pub illicit_basis: Vec<Coded<IllicitBasis>>,
    /// The law and the facts behind that (ITI 18(a)).
    pub legal_justification: Prose,
    /// Offences suspected, 1 to 16.
    pub suspected_offences: Vec<Coded<Offence>>,
    /// When, where and how it was found.
    pub recovery: Recovery,
    /// In what sort of crime, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criminal_context: Vec<Coded<CriminalContext>>,
    /// The item.
    pub item: Item,
    /// Who identified it.
    pub identification: Coded<IdentificationConfidence>,
    /// Why there is no photograph, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_photo_reason: Option<Line>,
    /// The search in own records.
    pub national_search: NationalSearch,
    /// References of other searches: iARMS, other States asked; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_searches: Vec<Line>,
    /// What is asked, 1 to 16.
    pub questions: Vec<Coded<TraceQuestion>>,
    /// What the answer will be used for.
    pub intended_use: Coded<IntendedUse>,
    /// Who must not hear of the request, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub do_not_contact: Vec<Coded<Contactee>>,
    /// The licence under which the item is thought to have travelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_licence: Option<LicenceNo>,
    /// References into ballistic systems, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ballistic_refs: Vec<Line>,
}

impl TraceRequest {
    /// Whether all lists and the item are within their bounds.
    pub fn is_bounded(&self) -> bool {
        let codes = [
            self.illicit_basis.len(),
            self.suspected_offences.len(),
            self.criminal_context.len(),
            self.questions.len(),
            self.do_not_contact.len(),
        ];
        let named =
            [self.national_search.registers.len(), self.other_searches.len(), self.ballistic_refs.len()];
        self.hop >= 1
            && codes.into_iter().all(|len| len <= MAX_CODES)
            && named.into_iter().all(|len| len <= MAX_NAMED)
            && self.item.is_bounded()
    }

    /// what a request lacks without which it cannot be sent. `photos` tells how many photographs go with it.
    pub fn missing(&self, photos: usize) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.illicit_basis.is_empty() {
            missing.push("illicit_basis: why the item may be illicit; SUSPECTED is enough");
        }
        if self.suspected_offences.is_empty() {
            missing.push("suspected_offences: the offences suspected; UNKNOWN is enough");
        }
        if self.questions.is_empty() {
            missing.push("questions: what is asked");
        }
        if photos == 0 && !is_described_by_marks(&self.item) {
            missing.push("item.marks: at least one marking, or that none is visible, or a photograph");
        }
        if photos == 0 && self.no_photo_reason.is_none() {
            missing.push("no_photo_reason: a photograph, or why there is none");
        }
        if self.national_search.registers.is_empty() {
            missing.push("national_search.registers: own registers are searched first");
        }
        if self.urgency != Urgency::Routine && self.urgency_reason.is_none() {
            missing.push("urgency_reason: why it is not routine");
        }
        if self.respond_by.is_some() && self.respond_by_reason.is_none() {
            missing.push("respond_by_reason: why by that day");
        }
        missing
    }

    pub(crate) fn codes_are_known(&self) -> bool {
        self.illicit_basis.iter().all(Coded::is_known)
            && self.suspected_offences.iter().all(Coded::is_known)
            && self.recovery.mode.is_known()
            && self.criminal_context.iter().all(Coded::is_known)
            && self.identification.is_known()
            && self.questions.iter().all(Coded::is_known)
            && self.intended_use.is_known()
            && self.do_not_contact.iter().all(Coded::is_known)
            && self.item.codes_are_known()
    }
}

/// Whether a marking is described, or it is said that someone looked and found none (law/requirements 6.3).
fn is_described_by_marks(item: &Item) -> bool {
    !item.marks().is_empty()
        || match item {
            // Single rounds have a headstamp and nothing else.
            Item::AmmunitionLot(lot) => lot
                .headstamp
                .as_ref()
                .is_some_and(|stamp| !stamp.clockwise.is_empty() || !stamp.symbols.is_empty()),
            Item::Firearm(firearm) => firearm.no_marks_visible,
            Item::Part(_) => false,
        }
}

code_list! {
    /// What a trace came to at the requested State: S found, P in part, N not, X procedure (law/requirements 5.3).
    ResultCode {
        CompanyDefunct = "COMPANY_DEFUNCT",
        Delayed = "DELAYED",
        Duplicate = "DUPLICATE",
        ExportedTo = "EXPORTED_TO",
        GovernmentStock = "GOVERNMENT_STOCK",
        IllicitManufactureEstablished = "ILLICIT_MANUFACTURE_ESTABLISHED",
        ImportedNoDomesticRecord = "IMPORTED_NO_DOMESTIC_RECORD",
        InsufficientInformation = "INSUFFICIENT_INFORMATION",
        LastLegalHolderIdentified = "LAST_LEGAL_HOLDER_IDENTIFIED",
        Lost = "LOST",
        ManufactureConfirmedNoDisposition = "MANUFACTURE_CONFIRMED_NO_DISPOSITION",
        MarkObliterated = "MARK_OBLITERATED",
        MlaRequired = "MLA_REQUIRED",
        MultipleCandidates = "MULTIPLE_CANDIDATES",
        NoRecord = "NO_RECORD",
        NotOfOurManufacture = "NOT_OF_OUR_MANUFACTURE",
        PredatesRecords = "PREDATES_RECORDS",
        PreviouslySeized = "PREVIOUSLY_SEIZED",
        PreviouslySurrendered = "PREVIOUSLY_SURRENDERED",
        PrivatelyMadeNoRecord = "PRIVATELY_MADE_NO_RECORD",
        RecordedDeactivated = "RECORDED_DEACTIVATED",
        RecordedDestroyed = "RECORDED_DESTROYED",
        RecordsLost = "RECORDS_LOST",
        Redirected = "REDIRECTED",
        Refused = "REFUSED",
        Restricted = "RESTRICTED",
        RetentionExpired = "RETENTION_EXPIRED",
        SerialInvalidForModel = "SERIAL_INVALID_FOR_MODEL",
        Stolen = "STOLEN",
        TracedToDealerOnly = "TRACED_TO_DEALER_ONLY",
    }
}

impl ResultCode {
    /// R-ITI-22: whether a ground must be given.
    pub fn needs_ground(self) -> bool {
        matches!(self, Self::Delayed | Self::Refused | Self::Restricted)
    }

    /// Whether it speaks of one item on record, so that there is a match.
    pub fn identifies_item(self) -> bool {
        matches!(
            self,
            Self::ExportedTo
                | Self::GovernmentStock
                | Self::LastLegalHolderIdentified
                | Self::Lost
                | Self::PreviouslySeized
                | Self::PreviouslySurrendered
                | Self::RecordedDeactivated
                | Self::RecordedDestroyed
                | Self::Stolen
                | Self::TracedToDealerOnly
        )
    }

    /// Whether it may keep back which item is on record.
    pub fn may_withhold_item(self) -> bool {
        self.needs_ground() || matches!(self, Self::MlaRequired | Self::Redirected)
    }

    /// Whether the register itself says where the item left the licit circuit (SDG 16.4.2).
    pub fn establishes_diversion(self) -> bool {
        matches!(
            self,
            Self::IllicitManufactureEstablished
                | Self::Lost
                | Self::PreviouslySeized
                | Self::PreviouslySurrendered
                | Self::RecordedDeactivated
                | Self::RecordedDestroyed
                | Self::Stolen
        )
    }

    /// Whether it speaks of a record that must be the item's: without a match it says nothing.
    pub fn is_on_record(self) -> bool {
        self.establishes_diversion()
            || matches!(
                self,
                Self::ExportedTo
                    | Self::GovernmentStock
                    | Self::LastLegalHolderIdentified
                    | Self::ManufactureConfirmedNoDisposition
                    | Self::TracedToDealerOnly
            )
    }

    /// Whether it says that the item, recovered now, should not exist any more: of high interest to the requested
    /// State too.
    pub fn is_alarming(self) -> bool {
        matches!(
            self,
            Self::PreviouslySeized
                | Self::PreviouslySurrendered
                | Self::RecordedDeactivated
                | Self::RecordedDestroyed
        )
    }
}

code_list! {
    /// Why a response is delayed, restricted or refused: the four of ITI 22, UNTOC 18(21), or Art. 12(4).
    TraceGround {
        ConfidentialityCannotBeGuaranteed = "CONFIDENTIALITY_CANNOT_BE_GUARANTEED",
        ConfidentialityLaw = "CONFIDENTIALITY_LAW",
        NationalSecurity = "NATIONAL_SECURITY",
        NotWithinAvailableMeans = "NOT_WITHIN_AVAILABLE_MEANS",
        OngoingInvestigation = "ONGOING_INVESTIGATION",
        Untoc18Para21 = "UNTOC_18_21",
    }
}

code_list! {
    /// How well the item asked about and the one on record agree.
    MatchLevel {
        Confusable = "CONFUSABLE",
        DescriptionOnly = "DESCRIPTION_ONLY",
        Exact = "EXACT",
        None = "NONE",
        Normalised = "NORMALISED",
        Partial = "PARTIAL",
    }
}

code_list! {
    /// What happened to an item, as a register has it.
    EventKind {
        Deactivated = "DEACTIVATED",
        Deregistered = "DEREGISTERED",
        Destroyed = "DESTROYED",
        Exported = "EXPORTED",
        Imported = "IMPORTED",
        Lost = "LOST",
        Manufactured = "MANUFACTURED",
        Proofed = "PROOFED",
        Registered = "REGISTERED",
        Seized = "SEIZED",
        SentForDestruction = "SENT_FOR_DESTRUCTION",
        Sold = "SOLD",
        Stolen = "STOLEN",
        Surrendered = "SURRENDERED",
        TransferredGov = "TRANSFERRED_GOV",
    }
}

/// Something a register says of the item.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ItemEvent {
    /// What happened.
    pub event: Coded<EventKind>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub date: Option<Date>,
    /// From which State or authority or trade, never a private person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Line>,
    /// To which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Line>,
    /// Under which licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_no: Option<LicenceNo>,
}

code_list! {
    /// The last thing a register says of an item (SDG 16.4.2, metadata).
    LegalStatus {
        Confiscated = "CONFISCATED",
        Deactivated = "DEACTIVATED",
        Exported = "EXPORTED",
        Found = "FOUND",
        InTransit = "IN_TRANSIT",
        LawfullyHeld = "LAWFULLY_HELD",
        Lost = "LOST",
        Seized = "SEIZED",
        SentForDestruction = "SENT_FOR_DESTRUCTION",
        Stolen = "STOLEN",
        Surrendered = "SURRENDERED",
    }
}

code_list! {
    /// What sort of holder a record names; who it is stays in a part that names persons, or with MLA.
    HolderKind {
        Dealer = "DEALER",
        Government = "GOVERNMENT",
        Manufacturer = "MANUFACTURER",
        NaturalPerson = "NATURAL_PERSON",
        Organisation = "ORGANISATION",
        Unknown = "UNKNOWN",
    }
}

/// The last legal record of the item.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LastLegalRecord {
    /// What it says.
    pub status: Coded<LegalStatus>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub date: Option<Date>,
    /// What sort of holder.
    pub holder: Coded<HolderKind>,
    /// The record's own number there: not a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Line>,
}

/// Where the item left the licit circuit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Diversion {
    /// In which State.
    pub state: StateCode,
    /// When, or on or before which day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub date: Option<Date>,
    /// Under which circumstances.
    pub circumstances: Prose,
}

/// Whom to ask next.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NextHop {
    /// The State.
    pub state: StateCode,
    /// Its authority, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Line>,
    /// Why there.
    pub why: Line,
    /// The licence the item left under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_no: Option<LicenceNo>,
}

/// An answer to a trace request, interim or final.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TraceResponse {
    /// What it came to.
    pub result_code: Coded<ResultCode>,
    /// Whether more is to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interim: bool,
    /// How well the item on record agrees with the one asked about.
    pub match_level: Coded<MatchLevel>,
    /// The item as it is on record, so that the asking State sees what differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_item: Option<Item>,
    /// Which candidate was chosen, and on what basis, if more than one came into question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_because: Option<Prose>,
    /// The registers searched, at most 16.
    pub registers_searched: Vec<Line>,
    /// On which day.
    #[schema(value_type = String, format = Date)]
    pub search_date: Date,
    /// What happened to the item, oldest first, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ItemEvent>,
    /// The last legal record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_legal_record: Option<LastLegalRecord>,
    /// Where it left the licit circuit, if that is established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_diversion: Option<Diversion>,
    /// Whom to ask next: the State it was exported to, the request is redirected to, or that may have made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHop>,
    /// How many candidates there are, if there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
    /// The request that this one repeats, by its exchange or by a file number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<Line>,
    /// The authority that persons' data must be asked of, or that the request is redirected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Line>,
    /// Why it is delayed, restricted or refused, at most 16 (R-ITI-22).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grounds: Vec<Coded<TraceGround>>,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Prose>,
    /// Until when it is delayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub until: Option<Date>,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

impl TraceResponse {
    /// Whether all lists and the item are within their bounds.
    pub fn is_bounded(&self) -> bool {
        self.registers_searched.len() <= MAX_NAMED
            && self.events.len() <= MAX_EVENTS
            && self.grounds.len() <= MAX_CODES
            && self.matched_item.as_ref().is_none_or(Item::is_bounded)
    }

    /// What its code needs and it lacks: without, it cannot be sent (R-ITI-22; law/requirements 5.2).
    pub fn missing(&self) -> Vec<&'static str> {
        let Coded::Known(code) = self.result_code else { return Vec::new() };
        let mut missing = Vec::new();
        if code.needs_ground() && self.grounds.is_empty() {
            missing.push(
                "grounds: a response that is delayed, restricted or refused says why [R-ITI-22, ITI 22]",
            );
        }
        if code.needs_ground() && self.reason.is_none() {
            missing.push("reason: in words, or that reasons cannot be given [R-ITI-22, ITI 22]");
        }
        if code == ResultCode::Delayed && self.until.is_none() {
            missing.push("until: to which day it is delayed [R-ITI-22, ITI 22]");
        }
        if code == ResultCode::ExportedTo && self.next_hop.is_none() {
            missing.push("next_hop: the State it was exported to");
        }
        if matches!(code, ResultCode::MlaRequired | ResultCode::Redirected) && self.authority.is_none() {
            missing.push("authority: which one to turn to");
        }
        let searched = !matches!(
            code,
            ResultCode::Delayed | ResultCode::MlaRequired | ResultCode::Redirected | ResultCode::Refused
        );
        if searched && self.registers_searched.is_empty() {
            missing.push("registers_searched: where was it looked for?");
        }
        let chosen_needed = matches!(
            self.match_level,
            Coded::Known(MatchLevel::Confusable | MatchLevel::DescriptionOnly | MatchLevel::Partial)
        );
        if chosen_needed && self.matched_item.is_some() && self.chosen_because.is_none() {
            missing.push("chosen_because: on what basis is it the same item, though the marks differ?");
        }
        missing
    }

    /// Whether it can establish anything about the item: it is final, and speaks of a record that is the item's.
    pub fn is_firm(&self) -> bool {
        !self.interim
            && !self.result_code.is(ResultCode::Delayed)
            && self.match_level.known().is_some_and(|level| *level != MatchLevel::None)
    }

    /// Whether it establishes where the item left the licit circuit (SDG 16.4.2).
    pub fn establishes_diversion(&self) -> bool {
        self.is_firm() && self.tells_of_diversion()
    }

    /// Whether it speaks of a diversion, established or not.
    pub fn tells_of_diversion(&self) -> bool {
        self.point_of_diversion.is_some()
            || self.result_code.known().is_some_and(|code| code.establishes_diversion())
    }

    pub(crate) fn codes_are_known(&self) -> bool {
        self.result_code.is_known()
            && self.match_level.is_known()
            && self.grounds.iter().all(Coded::is_known)
            && self.matched_item.as_ref().is_none_or(Item::codes_are_known)
            && self.events.iter().all(|event| event.event.is_known())
            && self
                .last_legal_record
                .as_ref()
                .is_none_or(|record| record.status.is_known() && record.holder.is_known())
    }

    /// A response of this code, found in no register: to be completed.
    pub fn of(code: ResultCode, search_date: Date) -> Self {
        Self {
            result_code: Coded::Known(code),
            interim: false,
            match_level: Coded::Known(MatchLevel::None),
            matched_item: None,
            chosen_because: None,
            registers_searched: Vec::new(),
            search_date,
            events: Vec::new(),
            last_legal_record: None,
            point_of_diversion: None,
            next_hop: None,
            candidates: None,
            duplicate_of: None,
            authority: None,
            grounds: Vec::new(),
            reason: None,
            until: None,
            note: None,
        }
    }
}

impl fmt::Display for TraceResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interim {
            f.write_str("interim: ")?;
        }
        write!(f, "{}", self.result_code)?;
        match (&self.next_hop, &self.until) {
            (Some(next), _) if self.result_code.is(ResultCode::ExportedTo) => write!(f, " {}", next.state)?,
            (Some(next), _) => write!(f, ", ask {}", next.state)?,
            (None, Some(until)) => write!(f, " until {until}")?,
            (None, None) => {}
        }
        match self.grounds.as_slice() {
            [] => Ok(()),
            grounds => {
                let words: Vec<_> = grounds.iter().map(ToString::to_string).collect();
                write!(f, " ({})", words.join(", "))
            }
        }
    }
}

code_list! {
    /// What became of a trace case (SDG 16.4.2).
    Conclusion {
        ExhaustedUnsuccessful = "EXHAUSTED_UNSUCCESSFUL",
        LastLegalRecordOnly = "LAST_LEGAL_RECORD_ONLY",
        PodEstablished = "POD_ESTABLISHED",
        Stalled = "STALLED",
    }
}

/// What the asking State concluded: a courtesy to whoever answered, and what statistics count.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TraceOutcome {
    /// What the case came to.
    pub conclusion: Coded<Conclusion>,
    /// Whether the answer helped.
    pub useful: bool,
    /// Where the item left the licit circuit, if that is established and may be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_diversion: Option<Diversion>,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}
