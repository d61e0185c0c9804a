//! Where an exchange stands: what the fold of its messages comes to (law/requirements 7.1 to 7.3; SPEC.md, section 6).
//!
//! Each subject has its own steps; what they share stands first. A step that is not open in a state changes nothing:
//! what crosses is recorded, shown, and without effect, alike on both sides. No step is taken because time has passed.

use jiff::civil::Date;

use crate::handling::Coded;
use crate::licence::LicenceNotice;
use crate::message::{Acknowledgement, Body, Kind, Message, MessageId, Outcome};
use crate::operator::{Side, State};
use crate::trace::{ResultCode, TraceOutcome, TraceResponse};
use crate::transit::{DecisionCode, TransitDecision};

/// Where an exchange stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How far it has come.
    pub state: State,
    /// Who took charge of it.
    pub acknowledgement: Option<Acknowledgement>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// The message that says so: the answer, the correction, or the decision in force.
    pub decided: Option<MessageId>,
    /// Whether that is a correction of an earlier answer.
    pub corrected: bool,
    /// The newest change of the licence.
    pub notice: Option<LicenceNotice>,
    /// What the requesting State concluded from a trace.
    pub conclusion: Option<TraceOutcome>,
    /// To which day an answer is put off.
    pub delayed_until: Option<Date>,
    /// The question about an answer that is open.
    pub clarifying: Option<MessageId>,
    /// Times in which information was awaited: the message that asked, and the one that told.
    pub pauses: Vec<(MessageId, Option<MessageId>)>,
    /// The messages in their common order, and whether each took effect.
    pub order: Vec<(MessageId, bool)>,
    /// The state to go back to when a clarification is there.
    before: State,
}

impl Standing {
    /// Before anything was said.
    pub fn new() -> Self {
        Self {
            state: State::Requested,
            acknowledgement: None,
            outcome: None,
            decided: None,
            corrected: false,
            notice: None,
            conclusion: None,
            delayed_until: None,
            clarifying: None,
            pauses: Vec::new(),
            order: Vec::new(),
            before: State::Requested,
        }
    }

    /// One step, in an exchange opened by `kind`. What is not understood here clears nothing.
    pub fn take(&mut self, kind: Kind, id: MessageId, message: &Message) {
        let body = &message.body;
        let effective = match body {
            // A reminder says that time has passed, and changes nothing.
            _ if body.kind().opens() => true,
            Body::Reminder(_) => self.state.is_open(),
            Body::Acknowledgement(body) => self.acknowledge(body),
            Body::InformationSupply(_) => self.supply(id),
            _ => match kind {
                Kind::TraceRequest => self.take_trace(id, body),
                Kind::TransitNotification => self.take_transit(id, body),
                _ => self.take_licence(id, body),
            },
        };
        let may_clear =
            message.is_understood() || !matches!(body, Body::TransitDecision(_) | Body::ConditionReply(_));
        if effective && !may_clear && self.state != State::InformationRequested {
            self.state = State::Blocked;
        }
        self.order.push((id, effective));
    }

    /// A message whose key is revoked from before it was sealed: it is shown, and does not count. Nor does what it stood
    /// in the place of: a transit clears nothing, and nothing is answered, until that State says so anew.
    pub fn distrust(&mut self, kind: Kind, id: MessageId, body: &Body) {
        let over = matches!(self.state, State::Withdrawn | State::Closed);
        match body {
            _ if kind == Kind::TransitNotification && !over => self.state = State::Blocked,
            Body::AuthenticityResult(_)
            | Body::Correction(_)
            | Body::LicenceNotice(_)
            | Body::LicenceVerificationResponse(_)
            | Body::TraceResponse(_) => {
                (self.outcome, self.decided, self.notice, self.corrected) = (None, None, None, false);
                if !over {
                    self.state = State::Acknowledged;
                }
            }
            _ => {}
        }
        self.order.push((id, false));
    }

    /// The notification itself does not count: what was decided on it clears no shipment.
    pub fn clear_nothing(&mut self) {
        if matches!(self.state, State::Cleared | State::ConditionsOpen | State::NotRequired) {
            self.state = State::Blocked;
        }
    }

    fn acknowledge(&mut self, body: &Acknowledgement) -> bool {
        if !matches!(self.state, State::Requested | State::Acknowledged) {
            return false;
        }
        self.state = State::Acknowledged;
        self.acknowledgement = Some(body.clone());
        true
    }

    fn ask_information(&mut self, id: MessageId) -> bool {
        self.state = State::InformationRequested;
        // Asked again while it is awaited: the clock stands still already, and what is told ends that once.
        if !matches!(self.pauses.last(), Some((_, None))) {
            self.pauses.push((id, None));
        }
        true
    }

    fn supply(&mut self, id: MessageId) -> bool {
        if self.state != State::InformationRequested {
            return false;
        }
        self.state = match self.outcome {
            Some(Outcome::Trace(_)) => State::PartlyAnswered,
            _ => State::Acknowledged,
        };
        self.resume(id);
        true
    }

    /// Whatever ends the waiting for information ends the pause.
    fn resume(&mut self, id: MessageId) {
        if let Some((_, told @ None)) = self.pauses.last_mut() {
            *told = Some(id);
        }
    }

    fn come_to(&mut self, id: MessageId, state: State, outcome: Outcome) -> bool {
        self.resume(id);
        self.state = state;
        self.outcome = Some(outcome);
        self.decided = Some(id);
        true
    }

    /// Licence verification and authenticity.
    fn take_licence(&mut self, id: MessageId, body: &Body) -> bool {
        let open = matches!(self.state, State::Requested | State::Acknowledged);
        match body {
            Body::AuthenticityResult(body) if open => {
                self.come_to(id, State::Answered, Outcome::Authenticity(body.result.clone()))
            }
            Body::LicenceVerificationResponse(body) if open => {
                self.come_to(id, State::Answered, Outcome::Answer(body.answer.clone()))
            }
            Body::Correction(body) if matches!(self.state, State::Answered | State::Closed) => {
                self.corrected = true;
                // A correction speaks of today: earlier news of the licence are in it.
                self.notice = None;
                self.come_to(id, self.state, body.outcome.clone())
            }
            Body::LicenceNotice(body) if self.state == State::Answered => {
                self.notice = Some(body.clone());
                true
            }
            Body::Withdrawal(_) => self.withdraw(open),
            _ => false,
        }
    }

    fn withdraw(&mut self, open: bool) -> bool {
        match self.state {
            _ if open => self.state = State::Withdrawn,
            State::Answered => self.state = State::Closed,
            _ => return false,
        }
        true
    }

    /// Whether a trace has its final answer.
    fn is_traced(&self) -> bool {
        matches!(
            self.state,
            State::Answered | State::MlaRequired | State::Redirected | State::Refused | State::Restricted
        )
    }

    fn take_trace(&mut self, id: MessageId, body: &Body) -> bool {
        let open = matches!(
            self.state,
            State::Acknowledged
                | State::Delayed
                | State::InformationRequested
                | State::PartlyAnswered
                | State::Requested
        );
        match body {
            Body::TraceResponse(response) if open => {
                self.delayed_until = response.until;
                let state = traced(response);
                if state == State::Delayed {
                    // Put off is not answered: an interim answer before it stays.
                    self.resume(id);
                    self.state = state;
                    return true;
                }
                self.come_to(id, state, Outcome::Trace(response.clone()))
            }
            Body::InformationRequest(_) if open => self.ask_information(id),
            Body::ClarificationRequest(_) if self.is_traced() => {
                self.before = std::mem::replace(&mut self.state, State::Clarifying);
                self.clarifying = Some(id);
                true
            }
            Body::Clarification(_) if self.state == State::Clarifying => {
                self.state = self.before;
                self.clarifying = None;
                true
            }
            Body::Correction(body)
                if self.is_traced() || matches!(self.state, State::Closed | State::Clarifying) =>
            {
                let Outcome::Trace(response) = &body.outcome else { return false };
                self.corrected = true;
                self.clarifying = None;
                self.delayed_until = response.until;
                // What is corrected is open to conclusions again, also after it was closed.
                self.conclusion = None;
                self.come_to(id, traced(response), body.outcome.clone())
            }
            Body::TraceOutcome(outcome) if self.is_traced() || self.state == State::Clarifying => {
                self.state = State::Closed;
                self.clarifying = None;
                self.conclusion = Some(outcome.clone());
                true
            }
            Body::Withdrawal(_) => self.withdraw(open),
            _ => false,
        }
    }

    fn take_transit(&mut self, id: MessageId, body: &Body) -> bool {
        let over = matches!(self.state, State::Withdrawn | State::Closed);
        match body {
            Body::TransitDecision(decision) if !over => {
                // What is required of us anew makes us wait; all else stands in the place of what was decided before.
                let state = decided(decision);
                let outcome = Outcome::Transit(decision.clone());
                if state == State::InformationRequested {
                    self.outcome = Some(outcome);
                    self.decided = Some(id);
                    return self.ask_information(id);
                }
                self.come_to(id, state, outcome)
            }
            Body::TransitDecisionWithdrawal(_)
                if matches!(self.state, State::Cleared | State::ConditionsOpen | State::NotRequired) =>
            {
                self.state = State::Rescinded;
                true
            }
            Body::ConditionReply(reply)
                if self.state == State::ConditionsOpen && self.decided == Some(reply.of) =>
            {
                self.state = if reply.accepted { State::Cleared } else { State::Blocked };
                true
            }
            Body::Withdrawal(_) if !over => {
                self.state = State::Withdrawn;
                true
            }
            _ => false,
        }
    }

    /// The last day of a clearance that stands.
    pub fn valid_to(&self) -> Option<Date> {
        match (&self.outcome, self.state) {
            (Some(Outcome::Transit(decision)), State::Cleared) => decision.valid_to,
            _ => None,
        }
    }

    /// Whether a transit is cleared on `day`: by a decision that stands, its conditions accepted, within its days. There
    /// is no other way to be cleared (Art. 10(2)(b), R-10.2c).
    pub fn clears(&self, day: Date) -> bool {
        match (&self.outcome, self.state) {
            (Some(Outcome::Transit(decision)), State::Cleared) => {
                decision.valid_from.is_some_and(|first| first <= day)
                    && decision.valid_to.is_some_and(|last| day <= last)
            }
            _ => false,
        }
    }

    /// The acts open to `side` now, in an exchange opened by `kind`.
    pub fn acts(&self, kind: Kind, side: Side) -> &'static [&'static str] {
        match (kind, side) {
            (Kind::TraceRequest, Side::Requested) => match self.state {
                State::Requested | State::Delivered | State::Acknowledged => {
                    &["acknowledge", "answer", "ask_information"]
                }
                State::Delayed | State::PartlyAnswered => &["answer", "ask_information"],
                State::InformationRequested => &["answer"],
                State::Clarifying => &["clarify", "correct"],
                State::Closed => &["correct"],
                _ if self.is_traced() => &["correct"],
                _ => &[],
            },
            (Kind::TraceRequest, Side::Requesting) => match self.state {
                State::InformationRequested => &["supply_information", "withdraw"],
                State::Clarifying => &["conclude"],
                State::Answered => &["ask_clarification", "conclude", "withdraw"],
                _ if self.is_traced() => &["ask_clarification", "conclude"],
                state if state.is_open() => &["withdraw"],
                _ => &[],
            },
            (Kind::TransitNotification, Side::Requested) => match self.state {
                State::Requested | State::Delivered | State::Acknowledged => &["acknowledge", "answer"],
                State::Cleared | State::ConditionsOpen | State::NotRequired => &["answer", "rescind"],
                State::Blocked | State::InformationRequested | State::Rescinded => &["answer"],
                _ => &[],
            },
            (Kind::TransitNotification, Side::Requesting) => match self.state {
                State::ConditionsOpen => &["reply_to_conditions", "withdraw"],
                State::InformationRequested => &["supply_information", "withdraw"],
                State::Closed | State::TurnedAway | State::Withdrawn => &[],
                _ => &["withdraw"],
            },
            (_, Side::Requested) => match self.state {
                State::Requested | State::Delivered | State::Acknowledged => &["acknowledge", "answer"],
                State::Answered => &["correct", "notify"],
                State::Closed => &["correct"],
                _ => &[],
            },
            (_, Side::Requesting) => match self.state {
                State::Requested | State::Delivered | State::Acknowledged | State::Answered => &["withdraw"],
                _ => &[],
            },
        }
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self::new()
    }
}

/// What a response to a trace makes of it.
fn traced(response: &TraceResponse) -> State {
    match response.result_code {
        Coded::Known(ResultCode::Delayed) => State::Delayed,
        _ if response.interim => State::PartlyAnswered,
        Coded::Known(ResultCode::MlaRequired) => State::MlaRequired,
        Coded::Known(ResultCode::Redirected) => State::Redirected,
        Coded::Known(ResultCode::Refused) => State::Refused,
        Coded::Known(ResultCode::Restricted) => State::Restricted,
        Coded::Known(_) | Coded::Unknown(_) => State::Answered,
    }
}

/// What a decision makes of a transit. One that we do not understand clears nothing.
fn decided(decision: &TransitDecision) -> State {
    match decision.decision {
        Coded::Known(DecisionCode::MoreInformation) => State::InformationRequested,
        Coded::Known(DecisionCode::NoObjection) => State::Cleared,
        Coded::Known(DecisionCode::NoObjectionWithConditions) => State::ConditionsOpen,
        Coded::Known(DecisionCode::NotRequired) => State::NotRequired,
        Coded::Known(DecisionCode::Objection) | Coded::Unknown(_) => State::Blocked,
    }
}
