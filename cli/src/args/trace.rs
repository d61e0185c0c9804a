//! What can be typed about traces and their cases.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use liaison_protocol::authority::{Line, Prose, StateCode};
use liaison_protocol::item::{Action, FirearmType};
use liaison_protocol::licence::LicenceNo;
use liaison_protocol::mark::{Mark, MarkKind, MarkLocation, MarkState, Raw};
use liaison_protocol::trace::{
    Conclusion, Contactee, CriminalContext, IdentificationConfidence, IllicitBasis, IntendedUse, MatchLevel,
    Offence, RecoveryMode, ResultCode, TraceGround, Urgency,
};

use super::{Acting, Peer, coded, exchange, listed};

const REQUEST: &str = r#"Examples:
  liaison trace template > request.toml
  liaison trace request --peer BRA --case "RS 2026/14" --from request.toml --photo MARK:mark.jpg"#;

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Ask another State where an item went (Art. 12(4))
    #[command(after_long_help = REQUEST)]
    Request(Box<TraceQuestion>),
    /// Print a template of a request, to be filled in and given with `trace request --from`
    Template {
        /// Of which sort of item
        #[arg(long, default_value = "firearm")]
        kind: ItemSort,
    },
    /// Answer a trace request, at first or for good
    #[command(group = clap::ArgGroup::new("answer").args(["candidate", "result", "from"]).required(true))]
    Answer {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        #[command(flatten)]
        response: Box<ResponseArgs>,
        #[command(flatten)]
        enclosed: EnclosedArgs,
        #[command(flatten)]
        acting: Acting,
    },
    /// Replace an answer of ours that was wrong
    #[command(group = clap::ArgGroup::new("answer").args(["candidate", "result", "from"]).required(true))]
    Correct {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        #[command(flatten)]
        response: Box<ResponseArgs>,
        /// Why the answer is replaced
        #[arg(long, value_name = "TEXT")]
        because: Prose,
        #[command(flatten)]
        acting: Acting,
    },
    /// Ask for more before answering; our time pauses until it comes (ITI 21)
    AskInformation {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What we need to know; repeat for each
        #[arg(long = "question", value_name = "TEXT", required = true)]
        questions: Vec<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Tell the other State what it asked for before it answers
    Supply(Supply),
    /// Ask what an answer or a refusal means (ITI 23)
    AskClarification {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What is not clear
        #[arg(long, value_name = "TEXT")]
        question: Prose,
        #[command(flatten)]
        acting: Acting,
    },
    /// Say what our answer or our refusal means
    Clarify {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What it means
        #[arg(long, value_name = "TEXT")]
        answer: Prose,
        #[command(flatten)]
        acting: Acting,
    },
    /// Tell one State what we concluded, and close; `case conclude` tells all of them
    Conclude {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        #[command(flatten)]
        outcome: ConclusionArgs,
        #[command(flatten)]
        acting: Acting,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// List our trace cases, by name
    List,
    /// Tell a case: whom we asked, what each answered, and what it has come to
    Show {
        /// Its name, as `trace request --case` gave it
        case: Line,
    },
    /// Ask the State that the last answer names
    Next {
        /// Its name, as `trace request --case` gave it
        case: Line,
        /// Whom to ask [default: the State that was named]
        #[arg(long)]
        peer: Option<Peer>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Tell every State that answered what we concluded, and close the case
    Conclude {
        /// Its name, as `trace request --case` gave it
        case: Line,
        #[command(flatten)]
        outcome: ConclusionArgs,
    },
}

/// A question about an item: the item, how it was found, and how to ask. What is typed goes before what stands in the
/// file.
#[derive(Args, Debug)]
pub(crate) struct TraceQuestion {
    /// Whom to ask: a node id, or the code of a State with one node
    #[arg(long)]
    pub(crate) peer: Peer,
    /// The request as a .toml or .json file (see `trace template`); what is typed beside it goes first
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Send it although something in it should be looked at again
    #[arg(long)]
    pub(crate) anyway: bool,
    #[command(flatten)]
    pub(crate) acting: Acting,
    #[command(flatten, next_help_heading = "The request")]
    pub(crate) request: RequestArgs,
    #[command(flatten, next_help_heading = "The item")]
    pub(crate) item: ItemArgs,
    #[command(flatten, next_help_heading = "How it was found")]
    pub(crate) recovery: RecoveryArgs,
    #[command(flatten, next_help_heading = "Our own records, searched first")]
    pub(crate) searched: NationalSearchArgs,
    #[command(flatten, next_help_heading = "What goes with it")]
    pub(crate) enclosed: EnclosedArgs,
    /// Why there is no photograph
    #[arg(long, value_name = "REASON", conflicts_with = "photos", help_heading = "What goes with it")]
    pub(crate) no_photo: Option<Line>,
}

/// What is asked, why, and how urgently.
#[derive(Args, Debug, Default)]
pub(crate) struct RequestArgs {
    /// The name of our case: it groups the States asked about one item, and is our file number
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<Line>,
    /// Why the item may be illicit, such as SUSPECTED
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = listed::<IllicitBasis>)]
    pub(crate) basis: Vec<IllicitBasis>,
    /// The law and the facts behind that
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<Prose>,
    /// Offences of Art. 5 suspected, or UNKNOWN
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = listed::<Offence>)]
    pub(crate) offence: Vec<Offence>,
    /// In what sort of crime it was met
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = listed::<CriminalContext>)]
    pub(crate) context: Vec<CriminalContext>,
    /// What is asked, such as LAST_LEGAL_HOLDER
    #[arg(long = "question", value_name = "CODES", value_delimiter = ',')]
    #[arg(value_parser = listed::<liaison_protocol::trace::TraceQuestion>)]
    pub(crate) questions: Vec<liaison_protocol::trace::TraceQuestion>,
    /// What the answer will be used for, such as INVESTIGATION
    #[arg(long = "use", value_name = "CODE", value_parser = listed::<IntendedUse>)]
    pub(crate) intended_use: Option<IntendedUse>,
    /// ROUTINE, URGENT or EMERGENCY_THREAT_TO_LIFE [default: ROUTINE]
    #[arg(long, value_name = "CODE", value_parser = coded::<Urgency>)]
    pub(crate) urgency: Option<Urgency>,
    /// Why it is not routine
    #[arg(long, value_name = "TEXT")]
    pub(crate) urgency_reason: Option<Prose>,
    /// By when an answer is hoped for
    #[arg(long, value_name = "DATE")]
    pub(crate) respond_by: Option<Date>,
    /// Why by then
    #[arg(long, value_name = "TEXT")]
    pub(crate) respond_by_reason: Option<Prose>,
    /// Who must not hear of the request, such as DEALER
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = listed::<Contactee>)]
    pub(crate) do_not_contact: Vec<Contactee>,
    /// The licence under which it is thought to have travelled
    #[arg(long, value_name = "N")]
    pub(crate) linked_licence: Option<LicenceNo>,
}

/// A firearm; parts and ammunition are described in a file.
#[derive(Args, Debug, Default)]
pub(crate) struct ItemArgs {
    /// A firearm of this type: a code such as F-PIS, or a word such as pistol
    #[arg(long = "type", value_name = "TYPE", value_parser = firearm_type)]
    pub(crate) kind: Option<FirearmType>,
    /// How it is loaded and fired, such as SEMI_AUTO
    #[arg(long, value_name = "CODE", value_parser = listed::<Action>)]
    pub(crate) action: Option<Action>,
    /// Who made it, as established
    #[arg(long, value_name = "NAME")]
    pub(crate) make: Option<Line>,
    /// Its model
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<Line>,
    /// Its calibre as marked; repeat for each
    #[arg(long = "calibre", value_name = "CALIBRE")]
    pub(crate) calibres: Vec<Line>,
    /// Country of manufacture
    #[arg(long, value_name = "STATE")]
    pub(crate) country: Option<StateCode>,
    /// The serial number letter by letter, with ? for each that cannot be read
    #[arg(long, value_name = "NUMBER", value_parser = raw)]
    pub(crate) serial: Option<Raw>,
    /// How the serial number was found, such as WORN [default: INTACT, or PARTLY_LEGIBLE if it has a ?]
    #[arg(long, value_name = "CODE", requires = "serial", value_parser = listed::<MarkState>)]
    pub(crate) serial_state: Option<MarkState>,
    /// Where the serial number stands, such as FRAME
    #[arg(long, value_name = "CODE", requires = "serial", value_parser = listed::<MarkLocation>)]
    pub(crate) serial_place: Option<MarkLocation>,
    /// Another mark, such as "IMPORT_COUNTRY=KEN 2021"; repeat for each
    #[arg(long = "mark", value_name = "KIND=TEXT", value_parser = mark)]
    pub(crate) marks: Vec<Mark>,
    /// Who identified it, such as EXPERT_EXAMINED [default: UNTRAINED]
    #[arg(long, value_name = "CODE", value_parser = listed::<IdentificationConfidence>)]
    pub(crate) identification: Option<IdentificationConfidence>,
}

/// When, where and how the item was found.
#[derive(Args, Debug, Default)]
pub(crate) struct RecoveryArgs {
    /// On which day
    #[arg(long, value_name = "DATE")]
    pub(crate) recovered: Option<Date>,
    /// Where: province and district, or a border point
    #[arg(long, value_name = "PLACE")]
    pub(crate) place: Option<Line>,
    /// How it came into our hands, such as SEIZED_CRIMINAL or FOUND
    #[arg(long, value_name = "CODE", value_parser = listed::<RecoveryMode>)]
    pub(crate) mode: Option<RecoveryMode>,
    /// Under which circumstances
    #[arg(long, value_name = "TEXT")]
    pub(crate) circumstances: Option<Prose>,
}

/// The search in our own registers.
#[derive(Args, Debug, Default)]
pub(crate) struct NationalSearchArgs {
    /// A register of ours and what it had, such as "firearms register: nothing"; repeat for each
    #[arg(long, value_name = "NAME:RESULT", value_parser = searched)]
    pub(crate) registers_searched: Vec<(Line, Prose)>,
    /// On which day [default: today]
    #[arg(long, value_name = "DATE", requires = "registers_searched")]
    pub(crate) searched_on: Option<Date>,
}

/// Photographs, documents and persons.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct EnclosedArgs {
    /// A photograph, as FILE or VIEW:FILE with LEFT, RIGHT, MARK, PACKAGING or OTHER; repeat for each
    #[arg(long = "photo", value_name = "FILE")]
    pub(crate) photos: Vec<PathBuf>,
    /// A document; repeat for each
    #[arg(long = "document", value_name = "FILE")]
    pub(crate) documents: Vec<PathBuf>,
    /// A person, only if it is necessary to name one, as .toml or .json; repeat for each
    #[arg(long = "person", value_name = "FILE")]
    pub(crate) persons: Vec<PathBuf>,
}

/// What we answer to a trace request. What is typed goes before what stands in the candidate's response or the file.
#[derive(Args, Debug, Default)]
pub(crate) struct ResponseArgs {
    /// The record in our register that is the item: answers what the register says of it
    #[arg(long, value_name = "RECORD")]
    pub(crate) candidate: Option<Line>,
    /// What it came to, such as NO_RECORD, EXPORTED_TO, DELAYED or REFUSED
    #[arg(long, value_name = "CODE", value_parser = listed::<ResultCode>)]
    pub(crate) result: Option<ResultCode>,
    /// The whole response as a .toml or .json file, as the HTTP API takes it
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// More is to come
    #[arg(long)]
    pub(crate) interim: bool,
    /// Why it is delayed, restricted or refused, such as ONGOING_INVESTIGATION
    #[arg(long = "ground", value_name = "CODES", value_delimiter = ',', value_parser = listed::<TraceGround>)]
    pub(crate) grounds: Vec<TraceGround>,
    /// The reason in words, or that reasons cannot be given
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Prose>,
    /// The day to which it is delayed
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Option<Date>,
    /// The State to ask next: whither it went, to which it is redirected, or that may have made it
    #[arg(long, value_name = "STATE")]
    pub(crate) next_hop: Option<StateCode>,
    /// Why there
    #[arg(long, value_name = "TEXT", requires = "next_hop")]
    pub(crate) next_why: Option<Line>,
    /// The licence it left under
    #[arg(long, value_name = "N", requires = "next_hop")]
    pub(crate) next_licence: Option<LicenceNo>,
    /// How many candidates there are, with MULTIPLE_CANDIDATES
    #[arg(long, value_name = "N")]
    pub(crate) candidates: Option<u32>,
    /// The request that this one repeats, with DUPLICATE
    #[arg(long, value_name = "REF")]
    pub(crate) duplicate_of: Option<Line>,
    /// The authority to turn to, with REDIRECTED and MLA_REQUIRED
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Option<Line>,
    /// A register of ours that was searched; repeat for each
    #[arg(long = "registers", value_name = "NAME")]
    pub(crate) registers: Vec<Line>,
    /// The day of the search [default: today]
    #[arg(long, value_name = "DATE")]
    pub(crate) searched_on: Option<Date>,
    /// How well the item on record agrees, such as EXACT
    #[arg(long = "match", value_name = "CODE", value_parser = listed::<MatchLevel>)]
    pub(crate) match_level: Option<MatchLevel>,
    /// Why it is the same item though the marks differ
    #[arg(long, value_name = "TEXT")]
    pub(crate) chosen_because: Option<Prose>,
    /// What the other State should know
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<Prose>,
}

/// What the other State asked for before it answers.
#[derive(Args, Debug)]
pub(crate) struct Supply {
    /// Its id, or the first 6 characters of it or more
    #[arg(allow_hyphen_values = true, value_parser = exchange)]
    pub(crate) id: String,
    /// An answer to what was asked; repeat for each
    #[arg(long = "answer", value_name = "TEXT", required = true)]
    pub(crate) answers: Vec<Prose>,
    /// The item, if it is known better now, as .toml or .json
    #[arg(long, value_name = "FILE")]
    pub(crate) item: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) enclosed: EnclosedArgs,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// What a case came to.
#[derive(Args, Debug)]
pub(crate) struct ConclusionArgs {
    /// POD_ESTABLISHED, LAST_LEGAL_RECORD_ONLY, EXHAUSTED_UNSUCCESSFUL or STALLED
    #[arg(long, value_name = "CODE", value_parser = listed::<Conclusion>)]
    pub(crate) conclusion: Conclusion,
    /// The answers did not help
    #[arg(long)]
    pub(crate) not_useful: bool,
    /// The State in which it left the licit circuit
    #[arg(long, value_name = "STATE", requires = "circumstances")]
    pub(crate) diverted_in: Option<StateCode>,
    /// When, or on or before which day
    #[arg(long, value_name = "DATE", requires = "diverted_in")]
    pub(crate) diverted_on: Option<Date>,
    /// Under which circumstances
    #[arg(long, value_name = "TEXT", requires = "diverted_in")]
    pub(crate) circumstances: Option<Prose>,
    /// What the other States should know
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<Prose>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ItemSort {
    Ammunition,
    Firearm,
    Part,
}

fn firearm_type(text: &str) -> Result<FirearmType, String> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], " ");
    let found = FirearmType::ALL
        .iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(text) || plain(kind.name()) == plain(text));
    found.copied().ok_or_else(|| {
        let all: Vec<_> =
            FirearmType::ALL.iter().map(|kind| format!("{} {}", kind.as_str(), kind.name())).collect();
        format!("one of {}", all.join(", "))
    })
}

fn raw(text: &str) -> Result<Raw, String> {
    Raw::typed(text).map_err(|bad| bad.to_string())
}

fn mark(text: &str) -> Result<Mark, String> {
    let (kind, seen) =
        text.split_once('=').ok_or("a mark is KIND=TEXT, such as \"IMPORT_COUNTRY=KEN 2021\"")?;
    let (kind, seen): (MarkKind, Raw) = (listed(kind.trim())?, raw(seen)?);
    let mut mark = Mark::seen(kind, seen);
    if mark.raw.as_ref().is_some_and(Raw::is_partial) {
        mark.state = MarkState::PartlyLegible.into();
    }
    Ok(mark)
}

fn searched(text: &str) -> Result<(Line, Prose), String> {
    let bad = || "a search is NAME:RESULT, such as \"firearms register: nothing\"".to_owned();
    let (name, result) = text.split_once(':').ok_or_else(bad)?;
    Ok((name.trim().parse().map_err(|_| bad())?, result.trim().parse().map_err(|_| bad())?))
}
