//! Whether an order of our own operators may be given: what cannot be sent is stopped here, with what to do.

use super::apply::act_body;
use super::{Desk, Peer, Shelf, is_full};
use crate::authority::{NodeId, Timestamp};
use crate::fault::Fault;
use crate::item::Item;
use crate::key_set::{KeyChain, SignedKeySet};
use crate::mark::MarkKind;
use crate::message::{Correction, Kind, MessageId, Outcome};
use crate::operator::{Act, Enclosed, Mistake, Opening, Order, Question, Side};
use crate::sense::Occasion;
use crate::{attachment, serial};

impl Desk {
    /// Whether `order` may be given now.
    pub fn check(&self, shelf: &impl Shelf, order: &Order, now: Timestamp) -> Result<(), Mistake> {
        match order {
            Order::Act { exchange, act, enclosed, .. } => self.check_act(shelf, exchange, act, enclosed, now),
            Order::AdmitPeer { node, key_sets, .. } => self.check_admission(node, key_sets),
            Order::ImportLicences { count: 0, .. } => Err(Mistake::Malformed(
                "the list has no licence: an empty list would deny every licence there is".into(),
            )),
            Order::ImportFirearms { count: 0, .. } => Err(Mistake::Malformed(
                "the register has no firearm: an empty register would deny every firearm there is".into(),
            )),
            Order::ImportFirearms { .. } | Order::ImportLicences { .. } => Ok(()),
            Order::InstallKeySet { key_set, .. } => {
                let own = self
                    .own
                    .as_ref()
                    .ok_or_else(|| Mistake::NotReady("the log has no key set yet".into()))?;
                SignedKeySet::next(key_set, own.newest()).map(|_| ()).map_err(|flaw| {
                    Mistake::Malformed(format!("{flaw}; version {} is in force", own.current().version))
                })
            }
            Order::Open { peer, opening } => self.check_opening(peer, opening, now),
            Order::RemovePeer { node, .. } => self.find_peer(node.as_str()).map(|_| ()),
            Order::SetRules { node, rules } => {
                self.find_peer(node.as_str())?;
                if (1..=1000).contains(&rules.attempts_per_licence) {
                    Ok(())
                } else {
                    Err(Mistake::Malformed("attempts_per_licence: 1 to 1,000".into()))
                }
            }
        }
    }

    pub(super) fn check_admission(&self, node: &NodeId, key_sets: &str) -> Result<(), Mistake> {
        let chain = KeyChain::parse(key_sets).map_err(|flaw| {
            Mistake::Malformed(format!("{flaw}: ask the other authority for its key set file again"))
        })?;
        if chain.current().node != *node || *node == self.us {
            return Err(Mistake::Malformed("the key set file is not that of another node".into()));
        }
        if self.peer(node).is_some() {
            return Err(Mistake::Forbidden(format!(
                "{node} is admitted already: remove it first to admit it anew"
            )));
        }
        match self.claims_identity_of(chain.current()) {
            Some(other) => Err(Mistake::Forbidden(format!(
                "{node} lists a transport identity that {other} lists, too: one of the two is not what it says. Ask both authorities"
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn check_opening(
        &self,
        peer: &NodeId,
        opening: &Opening,
        now: Timestamp,
    ) -> Result<(), Mistake> {
        self.find_peer(peer.as_str())?;
        if self.peer(peer).is_some_and(Peer::is_over_its_ceilings) {
            return Err(Mistake::Forbidden(format!(
                "{peer} has too much of ours open or unreceipted: nothing is lost, but wait until it answers"
            )));
        }
        if opening.handling.as_ref().is_some_and(|handling| !handling.is_bounded()) {
            return Err(Mistake::Malformed(
                "handling: 1 to 8 legal bases, at most 8 restrictions, at most 200 States".into(),
            ));
        }
        check_enclosed(&opening.enclosed)?;
        check_question(&opening.question, &opening.enclosed)?;
        self.check_sense(peer, now, |occasion| occasion.contradictions_in_question(&opening.question))?;
        let body = opening.question.body();
        if !body.codes_are_known() {
            return Err(Mistake::Malformed(
                "a code that is in none of our lists: the other State could not tell what is meant".into(),
            ));
        }
        self.may_send(body.kind())
    }

    pub(super) fn check_act(
        &self,
        shelf: &impl Shelf,
        id: &MessageId,
        act: &Act,
        enclosed: &Enclosed,
        now: Timestamp,
    ) -> Result<(), Mistake> {
        let exchange = self
            .exchange(shelf, id)
            .ok_or_else(|| Mistake::Unknown(format!("no exchange {id}: see the list of exchanges")))?;
        self.find_peer(exchange.peer().as_str())?;
        let standing = exchange.standing();
        let name = act.name();
        let open = standing.acts(exchange.kind(), exchange.side());
        if !open.contains(&name) {
            let now = match open {
                [] => "nothing more".to_owned(),
                open => open.join(" or "),
            };
            return Err(Mistake::Forbidden(format!(
                "cannot {name}: the exchange is {}, and we are the {} State; open to us now: {now}",
                standing.state.as_str(),
                if exchange.side() == Side::Requesting { "requesting" } else { "requested" },
            )));
        }
        if is_full(&exchange) {
            return Err(Mistake::Forbidden("the exchange is full: open a new one".into()));
        }
        check_enclosed(enclosed)?;
        if let Act::Answer { outcome: Outcome::Transit(_), note: Some(_) } = act {
            return Err(Mistake::Malformed(
                "note: a decision has none; what is to be told stands in its reason or its conditions".into(),
            ));
        }
        let said = match act {
            Act::Answer { outcome, .. } => Some(outcome.clone()),
            Act::Correct { outcome, reason } => Some(Correction::of(outcome.clone(), reason.clone()).outcome),
            _ => None,
        };
        if let Some(outcome) = said {
            let missing = outcome.missing();
            if !missing.is_empty() {
                return Err(Mistake::Malformed(format!("outcome.{}", missing.join("; outcome."))));
            }
            if !outcome.answers(exchange.kind()) {
                return Err(Mistake::Malformed("that answer belongs to another kind of exchange".into()));
            }
        }
        self.check_sense(exchange.peer(), now, |occasion| {
            occasion.contradictions_in_act(act, exchange.subject())
        })?;
        let body = act_body(&exchange, standing, act)?;
        if !body.codes_are_known() {
            return Err(Mistake::Malformed(format!(
                "{name}: a code that is in none of our lists; the other State could not tell what is meant"
            )));
        }
        body.check(0).map_err(|_| {
            Mistake::Malformed(format!("{name}: a list is too long, or empty where one entry is needed"))
        })?;
        exchange.admits(exchange.side(), &body).map_err(|fault| {
            Mistake::Malformed(match fault {
                Fault::BodyForbidden => "the answer names fields that were not presented, or none: speak only of what was presented [R-10.5]".into(),
                _ => "that answer belongs to another kind of exchange".to_owned(),
            })
        })?;
        self.may_send(body.kind())
    }

    /// Whether what we are about to say to `peer` can be so.
    pub(super) fn check_sense(
        &self,
        peer: &NodeId,
        now: Timestamp,
        contradictions: impl FnOnce(Occasion<'_>) -> Vec<String>,
    ) -> Result<(), Mistake> {
        let them = self.peer(peer).map(|peer| &peer.chain.current().state);
        let Some((own, them)) = self.own.as_ref().zip(them) else { return Ok(()) };
        match contradictions(Occasion { us: &own.current().state, them, now }) {
            found if found.is_empty() => Ok(()),
            found => Err(Mistake::Malformed(found.join("; "))),
        }
    }

    /// for ourselves: no use in sending what the other State must refuse.
    pub(super) fn may_send(&self, kind: Kind) -> Result<(), Mistake> {
        let functions = self.own.as_ref().map(|own| own.current().functions.clone()).unwrap_or_default();
        if kind.is_open_to(&functions) {
            Ok(())
        } else {
            Err(Mistake::Forbidden(format!(
                "our key set gives this authority no function that may send {kind}; an authority with that function must, or the key set must be renewed [R-13.2]"
            )))
        }
    }
}

/// What must be there before a question may be sent: the rule's id, its article, and what to do.
pub(super) fn check_question(question: &Question, enclosed: &Enclosed) -> Result<(), Mistake> {
    let malformed = |text: String| Err(Mistake::Malformed(text));
    let unbounded = match question {
        Question::Authenticity { presented } | Question::Verification { presented }
            if !presented.is_bounded() =>
        {
            Some("presented.lines: at most 100, each with its own line number")
        }
        Question::Trace { request, .. } if !request.is_bounded() => Some(
            "request: hop from 1; at most 16 of each list, 32 marks, 16 component serials and 4 calibres; no text over its length",
        ),
        Question::Transit { notification } if !notification.is_bounded() => Some(
            "notification: at most 16 import licences and 16 States of transit, at most 100 lines each with its own number",
        ),
        _ => None,
    };
    if let Some(why) = unbounded {
        return malformed(why.into());
    }
    match question {
        Question::Authenticity { presented } if !presented.enough_for_authenticity() => malformed(
            "presented: give the date of issue, the final recipient or the goods beside the number. The answer (Art. 10(5)) speaks only of what is presented [R-10.5]".into(),
        ),
        Question::Verification { presented } if !presented.missing_for_verification().is_empty() => {
            let missing = presented.missing_for_verification();
            let names =
                missing.iter().map(|field| format!("presented.{field}")).collect::<Vec<_>>().join(", ");
            malformed(format!(
                "{names}: missing. A verification (Art. 10(2)(a)) presents the licence itself, not only its number [R-10.5]"
            ))
        }
        Question::Trace { request, looked_again } => {
            let photos = attachment::photos(&enclosed.attachments);
            let missing = request.missing(photos);
            if !missing.is_empty() {
                return malformed(format!(
                    "request.{} [R-12.4, Art. 12(4), ITI 18]",
                    missing.join("; request.")
                ));
            }
            match doubts(&request.item) {
                doubts if doubts.is_empty() || *looked_again => Ok(()),
                doubts => malformed(format!(
                    "{}. If an officer looked again and it stands, say so with looked_again [R-12.4, serial handling 7]",
                    doubts.join("; ")
                )),
            }
        }
        Question::Transit { notification } => match notification.missing().as_slice() {
            [] => Ok(()),
            missing => malformed(format!("notification.{}", missing.join("; notification."))),
        },
        _ => Ok(()),
    }
}

/// What to look at again in the description of an item before another State is asked: a wrong string or a
/// contradiction costs weeks, and only an officer can tell (law/requirements 6.3, serial handling 7; scenario T8).
pub(super) fn doubts(item: &Item) -> Vec<String> {
    let mut doubts: Vec<String> =
        item.contradictions().iter().map(|contradiction| format!("request.item: {contradiction}")).collect();
    for (place, mark) in item.marks().iter().enumerate() {
        let Some(raw) = mark.raw_of(MarkKind::Serial) else { continue };
        let found = serial::warnings(raw.as_str(), item);
        doubts.extend(
            found.iter().map(|warning| format!("request.item.marks.{place}.raw, \"{raw}\": {warning}")),
        );
    }
    doubts
}

pub(super) fn check_enclosed(enclosed: &Enclosed) -> Result<(), Mistake> {
    if !attachment::are_bounded(&enclosed.attachments) {
        return Err(Mistake::Malformed(
            "enclosed.attachments: at most 16, each as the node returned it when it was put in".into(),
        ));
    }
    if !enclosed.parts.is_empty() {
        return Err(Mistake::Malformed(
            "enclosed.parts: give enclosed.persons, the node makes the parts".into(),
        ));
    }
    if enclosed.persons.len() > attachment::MAX_PARTS {
        return Err(Mistake::Malformed("enclosed.persons: at most 16".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_a_wrong_string_is_stopped_at_the_sender_until_an_officer_looked_again() {
        let ask = |serial: &str, looked_again: bool| {
            let request = serde_json::json!({
                "trace_case": "RS-1", "hop": 1, "urgency": "ROUTINE", "illicit_basis": ["SUSPECTED"],
                "legal_justification": "Found.", "suspected_offences": ["UNKNOWN"],
                "recovery": {"mode": "FOUND", "date": "2026-11-20", "place": "Novi Sad", "circumstances": "Found."},
                "item": {"item": "firearm", "type": "F-PIS", "action": "SEMI_AUTO", "provenance": "UNKNOWN",
                    "marks": [{"kind": "SERIAL", "raw": serial, "state": "INTACT"}]},
                "identification": "TRAINED_OFFICER", "no_photo_reason": "none taken",
                "national_search": {"registers": ["national"], "date": "2026-11-20", "result": "Nothing."},
                "questions": ["DISPOSITION"], "intended_use": "INVESTIGATION"
            });
            let request = serde_json::from_value(request).expect("a request");
            check_question(&Question::Trace { request, looked_again }, &Enclosed::default())
        };
        let Err(Mistake::Malformed(why)) = ask("1005-19-016-2243", false) else { panic!("it was sent") };
        assert!(
            why.contains("marks.0") && why.contains("NATO stock number") && why.contains("R-12.4"),
            "{why}"
        );
        assert_eq!(ask("1005-19-016-2243", true), Ok(()));
        assert_eq!(ask("TAC 48317", false), Ok(()));
    }
}
