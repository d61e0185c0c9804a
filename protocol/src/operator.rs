//! What an operator or a national system may ask of its own node: the types of the HTTP API (`/v1`).
//!
//! Orders change something and become entries of the log; views are what the node shows. Node and command
//! share these types, so the two cannot drift apart.

mod orders;
mod states;
mod views;

pub use self::orders::{
    Act, ActRequest, AdmitRequest, Enclosed, EvidenceRequest, InstallRequest, Mistake, OpenRequest, Opening,
    OpeningForm, Order, Question, QuestionName, RemoveRequest, Rules,
};
pub use self::states::{PeerStanding, Side, State};
pub use self::views::{
    AttachmentView, CandidateView, CaseView, CheckpointView, ConsistencyView, EventView, ExchangePage,
    ExchangeSummary, ExchangeView, FirearmsView, HopView, ImportView, InclusionView, NodeView, PeerTestView,
    PeerView, Problem, ReadyView, ReceiptView, Step, StepResult, StepView, TimelineItem,
};
