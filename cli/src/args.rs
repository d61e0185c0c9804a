//! What can be typed: commands, their options, and the words they take.

mod trace;
mod transit;

use std::path::PathBuf;

use clap::{ArgAction, Args as ArgGroup, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use liaison_protocol::authority::{Line, NodeId, OfficerId, Prose, StateCode};
use liaison_protocol::handling::{Purpose, Recipient};
use liaison_protocol::key_set::Fingerprint;
use liaison_protocol::licence::{Field, GoodsLine, Ground, LicenceEvent, LicenceKind, LicenceNo};
use liaison_protocol::operator;
use serde::de::DeserializeOwned;

pub(crate) use trace::{
    CaseCommand, ConclusionArgs, EnclosedArgs, ItemArgs, ItemSort, NationalSearchArgs, RecoveryArgs,
    RequestArgs, ResponseArgs, Supply, TraceCommand, TraceQuestion,
};
pub(crate) use transit::{DecisionArgs, NotificationArgs, TransitCommand, TransitQuestion};

/// Ask other States' firearms authorities, answer them, and verify logs
///
/// Exit codes: 0 yes or done, 1 the answer is no, 2 something to be put right first.
#[derive(Debug, Parser)]
#[command(name = "liaison", version, after_long_help = FIRST_STEPS)]
pub(crate) struct Args {
    /// The profile: client.toml or its folder [default: ./operator, ~/.config/liaison, /var/lib/liaison/operator]
    #[arg(long, global = true, env = "LIAISON_PROFILE", value_name = "PATH", display_order = 90)]
    pub(crate) profile: Option<PathBuf>,
    /// Print the node's JSON and nothing else
    #[arg(long, global = true, display_order = 91)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// How our node stands: whether it can sign, its peers, what waits; exit code 1 if it cannot sign
    Status,
    /// Follow what changes, a line each, until stopped; with --json a line of JSON each
    Watch {
        /// Begin behind this entry of our log, to miss nothing since [default: now]
        #[arg(long, value_name = "LEAF")]
        after: Option<u64>,
    },
    /// Show our own node; hand out its key sets, or put a new one in force
    Node {
        #[command(subcommand)]
        command: Option<NodeCommand>,
        /// Show our root fingerprint as a QR code, too, for a camera of the other authority
        #[arg(long)]
        qr: bool,
    },
    /// The other authorities' nodes: admit, show, remove, answer automatically
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Ask about a licence of another State, or put our own list of licences in place
    #[command(subcommand)]
    Licence(LicenceCommand),
    /// Trace an item from State to State (Art. 12(4)): ask, answer, ask back, conclude
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Our trace cases: the chain of hops, the next one, and what it came to
    #[command(subcommand)]
    Case(CaseCommand),
    /// Shipments through other States (Art. 10(2)(b)): notify, decide, accept conditions
    #[command(subcommand)]
    Transit(TransitCommand),
    /// Our register of firearms
    #[command(subcommand)]
    Firearms(FirearmsCommand),
    /// Exchanges: list, show, and act in them
    #[command(subcommand)]
    Exchange(ExchangeCommand),
    /// Evidence: an exchange as one file that anyone can verify, with no node at all
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// The log: its checkpoint, proofs, and verification with no node at all
    #[command(subcommand)]
    Log(LogCommand),
    /// Write the man pages and shell completions of this program below FOLDER, such as ~/.local/share
    Manual {
        /// Where `man` and shells look: `man/man1` and others are made in it
        folder: PathBuf,
    },
}

const FIRST_STEPS: &str = r#"Examples:
  liaison node --qr
  liaison peer add kenya.key-sets --channel "telephone, 23 November"
  liaison licence verify --peer KEN --licence-no KE-IMP-0117 --issued 2026-01-12
  liaison exchange list --for-officer"#;
const PEER_ADD: &str = r#"Examples:
  liaison peer add kenya.key-sets --channel "telephone, 23 November"
  # The fingerprint as it was read from the QR code on their screen:
  liaison peer add kenya.key-sets --channel "meeting in Arusha, 12 May" --fingerprint 6D8C...04F1"#;
const LICENCE_VERIFY: &str = r#"Examples:
  liaison licence verify --peer KEN --licence-no KE-IMP-0117 --issued 2026-01-12 --wait 60 \
      --recipient "Kenya Wildlife Service" --line "1; Rifle, bolt action, .308 Winchester; 40; pieces""#;
const EXPORT: &str = r#"Examples:
  liaison evidence export A1WCo2 --purpose prosecution --for court
  liaison evidence verify evidence-A1WCo2.tar"#;
const LOG_VERIFY: &str = r#"Examples:
  liaison log verify /var/lib/liaison/data
  liaison log verify copy-of-log1 --fingerprint "6d8c 39f1 ... 04f1""#;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Print our key set file, to be handed to peers
    KeySets {
        /// Write it to this file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Put our own next key set in force: the last line of FILE
    InstallKeySet {
        /// The key set file
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// List the peers
    List,
    /// Show a peer
    Show {
        /// Node id, or the code of a State with one node
        peer: Peer,
        /// Show the fingerprint we hold of it as a QR code, too, for a camera of that authority
        #[arg(long)]
        qr: bool,
    },
    /// Test the way to a peer, step by step: which fails, and what to do about it
    Test {
        /// Node id, or the code of a State with one node
        peer: Peer,
    },
    /// Admit a peer whose fingerprint was compared with the other authority, outside this network
    #[command(after_long_help = PEER_ADD)]
    Add {
        /// The key set file the other authority handed over
        file: PathBuf,
        /// The fingerprint as the other authority told it, never the file's own; asked for, if absent
        #[arg(long)]
        fingerprint: Option<Fingerprint>,
        /// How it was compared, such as "note verbale 12/2026"
        #[arg(long)]
        channel: Line,
        /// The officer who compared it [default: the holder of the token]
        #[arg(long)]
        officer: Option<OfficerId>,
    },
    /// Remove a peer
    Remove {
        /// Node id, or the code of a State with one node
        peer: Peer,
        /// Why; recorded in the log
        #[arg(long)]
        reason: Line,
    },
    /// Set what a peer is answered from our registers without an officer
    #[command(group = clap::ArgGroup::new("rules").required(true).multiple(true))]
    Answer {
        /// Node id, or the code of a State with one node
        peer: Peer,
        /// Answer licence verifications
        #[arg(long, group = "rules")]
        verifications: Option<Switch>,
        /// Answer authenticity checks
        #[arg(long, group = "rules")]
        authenticity: Option<Switch>,
        /// Answer trace requests where one firearm agrees beyond doubt
        #[arg(long, group = "rules")]
        traces: Option<Switch>,
        /// Most automatic answers about one licence to this peer
        #[arg(long, group = "rules", value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        attempts: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LicenceCommand {
    /// Ask whether an import licence was issued and stands (Art. 10(2)(a))
    #[command(after_long_help = LICENCE_VERIFY)]
    Verify(LicenceQuestion),
    /// Ask whether a licensing document is genuine (Art. 10(5))
    Authenticate(LicenceQuestion),
    /// Put our own list of licences in place
    Import {
        /// The list, as CSV
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FirearmsCommand {
    /// Put our own register of firearms in place
    Import {
        /// The register, as CSV
        file: PathBuf,
    },
}

/// A question about a licence: what stands on the document, and how to ask.
#[derive(ArgGroup, Debug)]
pub(crate) struct LicenceQuestion {
    /// Whom to ask: a node id, or the code of a State with one node
    #[arg(long)]
    pub(crate) peer: Peer,
    #[command(flatten)]
    pub(crate) document: Document,
    /// The whole opening of the exchange as a .json or .toml file instead, as the HTTP API takes it
    #[arg(long, value_name = "FILE", conflicts_with = "Document")]
    pub(crate) file: Option<PathBuf>,
    /// Our file number
    #[arg(long, value_name = "REF", conflicts_with = "file")]
    pub(crate) case: Option<Line>,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// Wait this many seconds for the answer; exit with 1 if none comes, or it is not VALID or MATCH
    #[arg(long, value_name = "SECS")]
    pub(crate) wait: Option<u64>,
}

/// What stands on the document.
#[derive(ArgGroup, Debug)]
pub(crate) struct Document {
    /// The licence's number
    #[arg(long, value_name = "N", required_unless_present = "file")]
    pub(crate) licence_no: Option<LicenceNo>,
    /// Date of issue, such as 2026-03-01
    #[arg(long, value_name = "DATE")]
    pub(crate) issued: Option<Date>,
    /// Last day of validity
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<Date>,
    /// Final recipient
    #[arg(long, value_name = "NAME")]
    pub(crate) recipient: Option<Line>,
    /// A line of goods, as "NUMBER; DESCRIPTION; QUANTITY; UNIT"; repeat for each
    #[arg(long = "line", value_name = "LINE", value_parser = goods_line)]
    pub(crate) lines: Vec<GoodsLine>,
    /// Who issued it
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Option<Line>,
    /// Where it was issued
    #[arg(long, value_name = "PLACE")]
    pub(crate) place: Option<Line>,
    /// What it permits, such as IMPORT
    #[arg(long, value_parser = coded::<LicenceKind>)]
    pub(crate) kind: Option<LicenceKind>,
    /// Version of the document
    #[arg(long = "version", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) version: Option<u32>,
    /// Exporting State
    #[arg(long, value_name = "STATE")]
    pub(crate) from: Option<StateCode>,
    /// Importing State
    #[arg(long, value_name = "STATE")]
    pub(crate) to: Option<StateCode>,
}

/// Who acts, and what makes a repetition harmless.
#[derive(ArgGroup, Clone, Debug, Default)]
pub(crate) struct Acting {
    /// The officer who decided it [default: the holder of the token]
    #[arg(long, value_name = "ID")]
    pub(crate) officer: Option<OfficerId>,
    /// Idempotency key: the same command with the same key is done once
    #[arg(long)]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExchangeCommand {
    /// List exchanges, newest first
    List(Filter),
    /// Show an exchange with everything that happened in it
    Show {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
    },
    /// Take charge of a request
    Acknowledge {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// The unit that handles it
        #[arg(long)]
        unit: Line,
        /// When an answer can be expected
        #[arg(long, value_name = "DATE")]
        expected: Option<Date>,
        /// What the other State should know
        #[arg(long)]
        note: Option<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Answer a request
    #[command(group = clap::ArgGroup::new("what").args(["answer", "as_proposed"]).required(true))]
    Answer {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        #[command(flatten)]
        outcome: OutcomeArgs,
        /// Answer what our licence list says
        #[arg(long, conflicts_with_all = ["valid_until", "differs", "ground"])]
        as_proposed: bool,
        /// What the other State should know
        #[arg(long)]
        note: Option<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Replace an answer of ours that was wrong
    Correct {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        #[command(flatten)]
        outcome: OutcomeArgs,
        /// Why
        #[arg(long, requires = "answer")]
        reason: Prose,
        #[command(flatten)]
        acting: Acting,
    },
    /// Tell of a later change of a licence we were asked about
    Notify {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What became of the licence, such as REVOKED
        #[arg(long, value_parser = coded::<LicenceEvent>)]
        event: LicenceEvent,
        /// Since when
        #[arg(long, value_name = "DATE")]
        effective: Date,
        /// What the other State should know
        #[arg(long)]
        note: Option<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Fetch a photograph or document of an exchange, and check that it is the one named
    Attachment {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// The attachment's digest, or the first 6 characters of it or more; not needed if there is only one
        #[arg(allow_hyphen_values = true)]
        digest: Option<String>,
        /// Where to write it: a new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Say that we need no answer any more, or no news
    Withdraw {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// Why
        #[arg(long)]
        reason: Prose,
        #[command(flatten)]
        acting: Acting,
    },
}

/// Which exchanges to list.
#[derive(ArgGroup, Debug, Default)]
pub(crate) struct Filter {
    /// With this peer: a node id, or the code of a State with one node
    #[arg(long)]
    pub(crate) peer: Option<Peer>,
    /// That have come this far, such as delivered or answered
    #[arg(long, value_parser = state)]
    pub(crate) state: Option<operator::State>,
    /// In which we are this side
    #[arg(long)]
    pub(crate) side: Option<Side>,
    /// Of this kind
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// About something whose short description contains this: a licence's number, an item, an export file
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// Only those in which the time for what is owed has passed
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) overdue: bool,
    /// Only those in which an officer of ours must act
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) for_officer: bool,
    /// At most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: Option<u32>,
    /// Go on where the last page ended
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
}

/// What is answered.
#[derive(ArgGroup, Clone, Debug, Default)]
pub(crate) struct OutcomeArgs {
    /// VALID, VALID_WITH_DIFFERENCES, NOT_FOUND, ...; to an authenticity check MATCH, MISMATCH, UNKNOWN, ...
    #[arg(long, value_name = "WORD", value_parser = word)]
    pub(crate) answer: Option<String>,
    /// Last day of validity, with VALID
    #[arg(long, value_name = "DATE", requires = "answer")]
    pub(crate) valid_until: Option<Date>,
    /// Fields that do not agree, with VALID_WITH_DIFFERENCES or MISMATCH, such as final_recipient,lines
    #[arg(long, value_name = "FIELDS", requires = "answer", value_delimiter = ',', value_parser = field)]
    pub(crate) differs: Vec<Field>,
    /// Why it cannot be confirmed, with CANNOT_CONFIRM, such as RECORDS_UNAVAILABLE
    #[arg(long, requires = "answer", value_parser = coded::<Ground>)]
    pub(crate) ground: Option<Ground>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Write an exchange with all its proofs to one file; recorded in the log, as is a refusal (Art. 12(5))
    #[command(after_long_help = EXPORT)]
    Export {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What it is for, such as LICENSING or PROSECUTION; held against the other State's conditions
        #[arg(long, value_parser = coded::<Purpose>)]
        purpose: Purpose,
        /// Who gets it: auditor, court or prosecutor of our State, or the code of another State
        #[arg(long = "for", value_name = "WHOM")]
        recipient: Recipient,
        /// The file to write [default: evidence-ID.tar]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The officer who gives it [default: the holder of the token]
        #[arg(long, value_name = "ID")]
        officer: Option<OfficerId>,
        /// Leave out the parts that name persons
        #[arg(long)]
        without_persons: bool,
    },
    /// Verify an evidence file, offline, and say claim by claim what holds
    Verify {
        /// The file
        file: PathBuf,
        /// A root fingerprint that you hold of one of the two States; repeat for the other
        #[arg(long)]
        fingerprint: Vec<Fingerprint>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the signed checkpoint of our log (the key to verify it goes to standard error)
    Checkpoint,
    /// Print the proof that an entry stands in our log (the entry itself goes to standard error)
    Prove {
        /// The entry's place, from 0
        leaf: u64,
        /// Write the proof to this file, and the entry to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Verify a log folder, or a copy of it, offline
    #[command(after_long_help = LOG_VERIFY)]
    Verify {
        /// A log folder (`log1`), a copy of it, or a data folder that has one
        folder: PathBuf,
        /// The root fingerprint that you hold of that State
        #[arg(long)]
        fingerprint: Option<Fingerprint>,
    },
}

/// A peer, as a node id or by its State.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Peer(pub(crate) String);

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The domain of a node id is enough: lists show no more of it.
        let node = if text.contains('/') { text.to_owned() } else { format!("{text}/liaison") };
        if text.parse::<StateCode>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        if node.parse::<NodeId>().is_ok() {
            return Ok(Self(node));
        }
        Err("a peer is a State code such as KEN, or a node id such as firearms.example.ke/liaison".to_owned())
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Side {
    /// We were asked
    Requested,
    /// We asked
    Requesting,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Is the document genuine?
    Authenticity,
    /// Where did the item go?
    Trace,
    /// Is there an objection to its passing?
    Transit,
    /// Was the licence issued, and does it stand?
    Verification,
}

/// The id of an exchange, or its beginning.
fn exchange(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (6..=43).contains(&text.len()) && text.bytes().all(is_part) {
        return Ok(text.to_owned());
    }
    Err("an exchange is named by its id, or by at least its first 6 characters: see liaison exchange list"
        .to_owned())
}

/// A line of goods as it is typed: `1; Rifle, bolt action .308; 40; pieces`.
fn goods_line(text: &str) -> Result<GoodsLine, String> {
    let bad =
        || "a line of goods is NUMBER; DESCRIPTION; QUANTITY; UNIT, such as \"1; Rifle .308; 40; pieces\"";
    // The description may have semicolons of its own.
    let (line, rest) = text.split_once(';').ok_or_else(bad)?;
    let mut parts = rest.rsplitn(3, ';').map(str::trim);
    let mut part = || parts.next().ok_or_else(bad);
    let (unit, quantity, description) = (part()?, part()?, part()?);
    Ok(GoodsLine {
        line: line.trim().parse().map_err(|_| bad())?,
        description: description.parse().map_err(|_| bad())?,
        quantity: quantity.parse().map_err(|_| bad())?,
        unit: unit.parse().map_err(|_| bad())?,
    })
}

/// A word of a code list, in any case and with hyphens if that is easier to type.
fn word(text: &str) -> Result<String, String> {
    Ok(text.to_ascii_uppercase().replace('-', "_"))
}

fn coded<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    named(word(text)?)
}

/// A word of a code list that tells its whole list when it is mistyped.
fn listed<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, String> {
    word(text)?.parse()
}

fn field(text: &str) -> Result<Field, String> {
    named(text.trim().to_ascii_lowercase().replace('-', "_"))
}

fn state(text: &str) -> Result<operator::State, String> {
    named(text.to_ascii_lowercase())
}

fn named<T: DeserializeOwned>(name: String) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        // Words are apart where there are two spaces, so that one may hold a space.
        let words = std::iter::once("liaison").chain(line.split("  ").flat_map(|part| {
            if part.contains(['"', ';']) { vec![part.trim_matches('"')] } else { part.split(' ').collect() }
        }));
        Args::try_parse_from(words).map(|args| args.command).map_err(|error| error.to_string())
    }

    fn refused(line: &str, why: &str) {
        let error = parse(line).expect_err(line);
        assert!(error.contains(why), "{line}: {error}");
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn what_is_no_id_is_refused_before_anybody_is_asked() {
        refused("exchange show  \"\"", "first 6 characters");
        for line in ["exchange show ///abc", "trace clarify ab/def --answer yes"] {
            refused(line, "first 6 characters");
        }
    }

    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        for line in [
            "exchange show -Oabcd",
            "exchange withdraw -hAbc1 --reason late",
            "exchange withdraw --reason late --abcd",
        ] {
            let id = match parse(line) {
                Ok(Command::Exchange(
                    ExchangeCommand::Show { id } | ExchangeCommand::Withdraw { id, .. },
                )) => id,
                other => panic!("{line}: {other:?}"),
            };
            assert!(line.contains(&id) && id.starts_with('-'), "{line}: {id}");
        }
    }

    #[test]
    fn a_verification_presents_the_document() {
        let line = "licence verify --peer KEN --licence-no  \"KE-IMP 2026/0042\"  --issued 2026-03-01 \
                    --recipient  \"Kenya Wildlife Service\"  --line  1; Rifle; .308; 40; pieces  \
                    --line  2; Cartridges; 8000; rounds  \
                    --kind import --version 2 --from PER --wait 30";
        let Ok(Command::Licence(LicenceCommand::Verify(asked))) = parse(line) else {
            panic!("{:?}", parse(line));
        };
        assert_eq!((asked.peer.0.as_str(), asked.wait), ("KEN", Some(30)));
        let document = asked.document;
        assert_eq!(document.licence_no.map(String::from).as_deref(), Some("KE-IMP 2026/0042"));
        assert_eq!((document.kind, document.version), (Some(LicenceKind::Import), Some(2)));
        let first = &document.lines[0];
        assert_eq!((first.line, first.quantity, document.lines.len()), (1, 40, 2));
        assert_eq!((first.description.as_str(), first.unit.as_str()), ("Rifle; .308", "pieces"));
    }

    #[test]
    fn an_answer_is_a_word_with_what_belongs_to_it_or_the_proposal() {
        let of = |line: &str| match parse(line) {
            Ok(Command::Exchange(ExchangeCommand::Answer { outcome, as_proposed, .. })) => {
                (outcome, as_proposed)
            }
            other => panic!("{other:?}"),
        };
        let (outcome, _) = of("exchange answer abcdef --answer cannot-confirm --ground records-unavailable");
        assert_eq!(outcome.answer.as_deref(), Some("CANNOT_CONFIRM"));
        assert_eq!(outcome.ground, Some(Ground::RecordsUnavailable));
        let (outcome, _) = of("exchange answer abcdef --answer MISMATCH --differs lines,final-recipient");
        assert_eq!(outcome.differs, [Field::Lines, Field::FinalRecipient]);
        let (outcome, as_proposed) = of("exchange answer abcdef --as-proposed");
        assert!(as_proposed && outcome.answer.is_none());
        refused("exchange answer abcdef", "--answer <WORD>");
        refused("exchange answer abcdef --as-proposed --answer VALID", "cannot be used with");
        refused("exchange answer abcdef --as-proposed --differs lines", "cannot be used with");
        refused("exchange correct abcdef --reason  \"a slip\"", "--answer <WORD>");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        refused("peer show Kenya", "a peer is a State code such as KEN");
        refused("peer answer KEN", "--verifications <VERIFICATIONS>");
        refused("peer answer KEN --attempts 1001", "not in 1..=1000");
        refused("peer add keys.txt --channel telephone --fingerprint abcd", "64 hexadecimal digits");
        refused("peer remove KEN", "--reason <REASON>");
        refused("licence verify --peer KEN", "--licence-no <N>");
        refused("licence verify --peer KEN --licence-no 1 --file x.json", "cannot be used with");
        refused(
            "licence verify --peer KEN --licence-no 1 --line  1; Rifle; many; pieces",
            "a line of goods is",
        );
        refused("licence verify --peer KEN --licence-no 1 --issued yesterday", "--issued");
        refused("exchange list --state lost", "unknown variant `lost`, expected one of `acknowledged`");
        refused("exchange list --limit 201", "not in 1..=200");
        refused("exchange notify abcdef --event BURNT --effective 2026-01-01", "unknown variant `BURNT`");
        refused("log prove first", "invalid digit");
        refused("evidence export abcdef --purpose gossip --for court", "unknown variant `GOSSIP`");
        refused("evidence export abcdef --purpose licensing --for press", "auditor, court or prosecutor");
        refused("evidence export abcdef --for court", "--purpose <PURPOSE>");
    }

    #[test]
    fn a_peer_is_named_by_its_state_its_node_or_its_domain() {
        let names = ["KEN", "firearms.example.ke", "firearms.example.ke/liaison"].map(str::parse::<Peer>);
        let node = || Ok(Peer("firearms.example.ke/liaison".to_owned()));
        assert_eq!(names, [Ok(Peer("KEN".to_owned())), node(), node()]);
    }

    #[test]
    fn options_for_all_commands_may_stand_anywhere() {
        for line in ["--json --profile p log checkpoint", "log checkpoint --json --profile p"] {
            let args = Args::try_parse_from(std::iter::once("liaison").chain(line.split(' '))).expect(line);
            assert!(args.json && args.profile == Some("p".into()), "{line}");
        }
    }
}
