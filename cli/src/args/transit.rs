//! What can be typed about shipments through other States.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use liaison_protocol::authority::{Line, Prose, StateCode};
use liaison_protocol::transit::TransportMode;

use super::{Acting, Peer, Supply, exchange, listed};

#[derive(Debug, Subcommand)]
pub(crate) enum TransitCommand {
    /// Tell a State that a shipment is to pass, and ask whether it objects
    Notify(Box<TransitQuestion>),
    /// Print a template of a notification, to be filled in and given with `transit notify --from`
    Template,
    /// Say whether we object; a later decision stands in the place of an earlier one
    Decide {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        #[command(flatten)]
        decision: DecisionArgs,
        #[command(flatten)]
        acting: Acting,
    },
    /// Take back our clearance
    Rescind {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// Why, if it is to be told
        #[arg(long, value_name = "TEXT")]
        reason: Option<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Accept the conditions of the transit State: they bind the shipment
    AcceptConditions {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What the other State should know
        #[arg(long, value_name = "TEXT")]
        note: Option<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Refuse the conditions of the transit State: the shipment may not pass
    RefuseConditions {
        /// Its id, or the first 6 characters of it or more
        #[arg(allow_hyphen_values = true, value_parser = exchange)]
        id: String,
        /// What the other State should know
        #[arg(long, value_name = "TEXT")]
        note: Option<Prose>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Tell the transit State what it asked for before it decides
    Supply(Supply),
    /// May the shipment pass today? Exit code 0 only if every State of its route has cleared it
    #[command(
        after_long_help = "Examples:\n  liaison transit check 3gk2ab,9xWq01 --on 2026-12-03 && echo \"may pass\""
    )]
    Check {
        /// The ids of the exchanges, or the first 6 characters of each or more, separated by commas
        #[arg(allow_hyphen_values = true)]
        exchanges: String,
        /// On another day
        #[arg(long, value_name = "DATE")]
        on: Option<Date>,
    },
}

/// A shipment and whom to tell of it.
#[derive(Args, Debug)]
pub(crate) struct TransitQuestion {
    /// Whom to tell: a node id, or the code of a State with one node
    #[arg(long)]
    pub(crate) peer: Peer,
    /// The notification as a .toml or .json file (see `transit template`); what is typed beside it goes first
    #[arg(long = "from", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Send it although a licence was not verified
    #[arg(long)]
    pub(crate) anyway: bool,
    #[command(flatten)]
    pub(crate) notification: NotificationArgs,
    /// A document, such as the packing list; repeat for each
    #[arg(long = "document", value_name = "FILE")]
    pub(crate) documents: Vec<PathBuf>,
    /// Our file number [default: the export file]
    #[arg(long, value_name = "REF")]
    pub(crate) case: Option<Line>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// The shipment, its route and its time.
#[derive(Args, Debug, Default)]
pub(crate) struct NotificationArgs {
    /// Take the import licence from this verification of it; repeat for each
    #[arg(long = "licence-from", value_name = "EXCHANGE", allow_hyphen_values = true)]
    pub(crate) licences_from: Vec<String>,
    /// Our file for the export licence
    #[arg(long, value_name = "REF")]
    pub(crate) export_file: Option<Line>,
    /// All States of transit in the order of the route, such as UGA,RWA
    #[arg(long, value_name = "STATES", value_delimiter = ',')]
    pub(crate) through: Vec<StateCode>,
    /// Where the shipment enters the State that is told
    #[arg(long, value_name = "PLACE")]
    pub(crate) entry: Option<Line>,
    /// Where it leaves
    #[arg(long, value_name = "PLACE")]
    pub(crate) exit: Option<Line>,
    /// How it travels, such as ROAD
    #[arg(long, value_name = "CODE", value_parser = listed::<TransportMode>)]
    pub(crate) mode: Option<TransportMode>,
    /// The first day it may be there
    #[arg(long, value_name = "DATE")]
    pub(crate) from_date: Option<Date>,
    /// The last day
    #[arg(long, value_name = "DATE")]
    pub(crate) to_date: Option<Date>,
    /// Who exports
    #[arg(long, value_name = "NAME")]
    pub(crate) exporter: Option<Line>,
    /// Who carries
    #[arg(long, value_name = "NAME")]
    pub(crate) carrier: Option<Line>,
    /// The goods change their means of transport there
    #[arg(long)]
    pub(crate) transhipment: bool,
    /// By when an answer is hoped for
    #[arg(long, value_name = "DATE")]
    pub(crate) respond_by: Option<Date>,
}

/// What we decide.
#[derive(Args, Debug, Default)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("decision").required(true).args([
    "no_objection", "conditions", "objection", "more_information", "not_required",
]))]
pub(crate) struct DecisionArgs {
    /// We do not object
    #[arg(long, requires_all = ["from", "to"])]
    pub(crate) no_objection: bool,
    /// We do not object under this condition; repeat for each
    #[arg(long, value_name = "TEXT", requires_all = ["from", "to"], num_args = 1..)]
    pub(crate) conditions: Vec<Prose>,
    /// We object; no reason need be given
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(crate) objection: bool,
    /// We need to know this first
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["from", "to", "reason"])]
    pub(crate) more_information: Option<Prose>,
    /// We require no clearance, on this basis
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["from", "to", "reason"])]
    pub(crate) not_required: Option<Prose>,
    /// The first day on which it holds
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<Date>,
    /// The last day
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<Date>,
    /// Why, if it is to be told
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Prose>,
}
