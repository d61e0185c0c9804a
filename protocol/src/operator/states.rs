//! How it stands with a peer and with an exchange.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::handling::code_list;

/// Whether a peer may deliver messages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerStanding {
    /// Admitted, and its key set is in force.
    Active,
    /// Its key set has expired: it may deliver newer key sets only.
    Expired,
    /// It showed two histories: its mail is kept, and clears nothing.
    Forked,
}

/// Which side of an exchange we are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The State that was asked.
    Requested,
    /// The State that asked.
    Requesting,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Requested => Self::Requesting,
            Self::Requesting => Self::Requested,
        }
    }
}

code_list! {
    /// How far an exchange has come.
    State {
        /// The requested authority has taken charge.
        Acknowledged = "acknowledged",
        /// Answered; news, corrections and clarifications may follow.
        Answered = "answered",
        /// The transit State objects, or our side refused its conditions.
        Blocked = "blocked",
        /// The requesting State asked what the answer means.
        Clarifying = "clarifying",
        /// The transit State has no objection, for the days it said.
        Cleared = "cleared",
        /// Over: no news are wanted any more, or the trace is concluded.
        Closed = "closed",
        /// The transit State has conditions that are not accepted yet.
        ConditionsOpen = "conditions_open",
        /// The answer is put off to a day, on a ground that was given.
        Delayed = "delayed",
        /// The other node holds the request, proven.
        Delivered = "delivered",
        /// The requested State needs to know more; its time pauses.
        InformationRequested = "information_requested",
        /// The answer can only be given to a request for mutual legal assistance.
        MlaRequired = "mla_required",
        /// The transit State says that no clearance of its is required.
        NotRequired = "not_required",
        /// A first answer is there, and more is to come.
        PartlyAnswered = "partly_answered",
        /// Another authority is to be asked.
        Redirected = "redirected",
        /// The requested State refuses, on a ground that was given.
        Refused = "refused",
        /// The request is sealed and recorded.
        Requested = "requested",
        /// The transit State took its clearance back.
        Rescinded = "rescinded",
        /// Answered in part, the rest withheld on a ground that was given.
        Restricted = "restricted",
        /// The other node refused the request for good: it is not in its books.
        TurnedAway = "turned_away",
        /// Withdrawn by the State that asked.
        Withdrawn = "withdrawn",
    }
}

impl State {
    /// Whether the requested State still owes the answer, or its next word.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::Acknowledged
                | Self::Clarifying
                | Self::Delayed
                | Self::Delivered
                | Self::InformationRequested
                | Self::PartlyAnswered
                | Self::Requested
        )
    }

    /// Whether our officer has the next word, if we are on `side`.
    pub fn waits_for(self, side: Side) -> bool {
        match self {
            Self::InformationRequested | Self::ConditionsOpen => side == Side::Requesting,
            state => side == Side::Requested && state.is_open(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_waits_for_the_officer_who_has_the_next_word_and_for_no_other() {
        for state in State::ALL {
            let asker = matches!(state, State::ConditionsOpen | State::InformationRequested);
            let answerer = state.is_open() && !asker;
            let waits = [Side::Requesting, Side::Requested].map(|side| state.waits_for(side));
            assert_eq!(waits, [asker, answerer], "{state}");
        }
    }
}
