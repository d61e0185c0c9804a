//! The export: licences are verified with the State that issued them (Art. 10(2)(a), 10(5)), through a power cut too.

use std::time::Instant;

use liaison_protocol::licence::{Authenticity, LicenceNo, Presented};
use liaison_protocol::message::Outcome;
use liaison_protocol::operator::{Act, Enclosed, ExchangePage, PeerView, Question, State};

use super::transit::Shipment;
use super::{DemoError, Story, Told, chapter, expect, lists, millis, moral, prose, say, tell};

/// The licence the story is about: 600 pistols for rangers at Lake Victoria.
pub(super) const LICENCE: &str = "KE-IMP-0147";

impl Story {
    pub(super) fn verifications(&self) -> Told {
        chapter("Before arms leave: Brazil verifies Kenya's import licence");
        tell(
            "Brazil is asked to export 600 pistols to Kenya in two consignments. The first 300 travelled last year. \
             Before the rest may leave, the import licence is verified again, with Kenya itself. Forgers know this, too.",
        );
        self.verify(
            "the paper in hand: 600 pistols for the Nyanza Conservancy Rangers",
            LICENCE,
            |_| (),
            "VALID until",
        )?;
        self.verify(
            "the same paper, forged: 600 became 6,000",
            LICENCE,
            |paper| paper.lines[0].quantity = 6000,
            "VALID_WITH_DIFFERENCES in lines",
        )?;
        self.verify(
            "a licence out of thin air",
            LICENCE,
            |paper| paper.licence_no = number("KE-IMP-9999"),
            "NOT_FOUND",
        )?;
        self.verify("one that has expired", "KE-IMP-0348", |_| (), "EXPIRED")?;
        self.verify("one that was revoked", "KE-IMP-0152", |_| (), "REVOKED")?;
        moral(
            "Every question and answer is signed, and in both logs before it counts. Kenya speaks only of what was \
             presented: whoever guesses learns nothing.",
        );
        Ok(())
    }

    fn verify(&self, what: &str, number: &str, change: impl FnOnce(&mut Presented), expected: &str) -> Told {
        let mut presented = self.papers.paper(number)?;
        change(&mut presented);
        let began = Instant::now();
        let question = Question::Verification { presented };
        let id = self.brazil.ask(&self.kenya, question, "BR-EXP-0088", Enclosed::default())?;
        let view = self.brazil.wait_until(&id, State::Answered)?;
        let outcome = view.summary.outcome.unwrap_or_default();
        say("Brazil", what);
        say("Kenya", &format!("{outcome}   {}", millis(began)));
        if outcome.starts_with(expected) { Ok(()) } else { expect(what, expected, &outcome) }
    }

    pub(super) fn power_cut(&mut self, shipment: &mut Shipment) -> Told {
        chapter("Kenya's node is killed in the middle; the others go on asking");
        self.kenya.kill();
        say("Kenya", "SIGKILL: the process is gone");
        let mut asked = Vec::new();
        for number in ["KE-IMP-0215", "KE-IMP-0224", "KE-IMP-0295"] {
            let question = Question::Verification { presented: self.papers.paper(number)? };
            asked.push(self.brazil.ask(&self.kenya, question, "BR-EXP-0089", Enclosed::default())?);
        }
        say("Brazil", "verifies three more licences");
        let mut shown = self.papers.paper(LICENCE)?;
        // What the driver shows is a copy without its second page.
        (shown.place_of_issue, shown.version) = (None, None);
        shown.lines.truncate(1);
        let question = Question::Authenticity { presented: shown.clone() };
        let customs = self.tanzania.ask(&self.kenya, question, "TZ-DAR-3316", Enclosed::default())?;
        say(
            "Tanzania",
            "the carrier has shown its customs a copy of the licence: is it genuine? (Art. 10(5))",
        );
        let question = Question::Authenticity { presented: shown };
        shipment.doubt = self.uganda.ask(&self.kenya, question, "UG-TR-0071", Enclosed::default())?;
        say("Uganda", "asks the same, before it says anything about the transit");
        for (office, expected) in [(&self.brazil, 3), (&self.tanzania, 1), (&self.uganda, 1)] {
            let view: PeerView = office.get("/v1/peers/KEN")?;
            expect("what waits for Kenya", &expected.to_string(), &view.undelivered.to_string())?;
        }
        say("all three", "have sealed and logged what they ask: five messages wait, nothing is lost");
        let began = Instant::now();
        self.kenya.start()?;
        say("Kenya", &format!("is back; its log is read from the beginning   {}", millis(began)));
        for id in &asked {
            let view = self.brazil.wait_until(id, State::Answered)?;
            say("Brazil", &format!("{}: {}", view.summary.subject, view.summary.outcome.unwrap_or_default()));
        }
        let there: ExchangePage = self.kenya.get("/v1/exchanges?peer=BRA&limit=3")?;
        let theirs: Vec<String> =
            there.exchanges.iter().rev().map(|summary| summary.id.to_string()).collect();
        expect("the three requests, once each and in order", &asked.join(" "), &theirs.join(" "))?;
        let view = self.tanzania.wait_until(&customs, State::Answered)?;
        let outcome = view.summary.outcome.unwrap_or_default();
        expect("a genuine paper", "MATCH", &outcome)?;
        say("Tanzania", &format!("{outcome}: genuine, as far as it was shown"));
        let view = self.kenya.wait_for(&shipment.doubt, "Uganda's check", |view| view.summary.for_officer)?;
        say("Kenya", &format!("has Uganda's before an officer: {}", view.why_officer.unwrap_or_default()));
        Ok(())
    }

    /// Kenya's officer errs, and corrects himself.
    pub(super) fn wrong_answer(&self, doubt: &str) -> Told {
        let answer = Outcome::Authenticity(Authenticity::Unknown);
        self.kenya.act(doubt, Act::Answer { outcome: answer, note: None })?;
        let view = self.uganda.wait_until(doubt, State::Answered)?;
        let read = view.summary.outcome.unwrap_or_default();
        expect("the wrong answer", "UNKNOWN", &read)?;
        say("Kenya", &format!("an officer looks in last year's ledger, and answers: {read}"));
        Ok(())
    }

    pub(super) fn correction(&self, doubt: &str) -> Told {
        let reason = "Searched in the ledger of another year. The licence is ours and in force.";
        let right = Outcome::Authenticity(Authenticity::Match);
        self.kenya.act(doubt, Act::Correct { outcome: right, reason: prose(reason) })?;
        let corrected = |view: &liaison_protocol::operator::ExchangeView| {
            view.result == Some(Outcome::Authenticity(Authenticity::Match))
        };
        let view = self.uganda.wait_for(doubt, "the correction", corrected)?;
        say(
            "Kenya",
            &format!(
                "corrects itself: {}. Both answers stay in both logs",
                view.summary.outcome.unwrap_or_default()
            ),
        );
        Ok(())
    }

    /// Kenya suspends the licence; whoever was told otherwise hears of it, and the shipment stops.
    pub(super) fn consequences(&self, shipment: &Shipment) -> Told {
        chapter("One trace stops the next 300 pistols");
        tell(
            "Pistols licensed for rangers were sold on within months, and stolen from the buyer. Kenya's board does not \
             wait for the second consignment.",
        );
        let list = lists::moved(lists::LICENCES, self.today);
        let list = list.replace(&format!("{LICENCE},IMPORT,ACTIVE"), &format!("{LICENCE},IMPORT,SUSPENDED"));
        let notices = self.kenya.import_licences(&list)?.notices;
        say(
            "Kenya",
            &format!("suspends {LICENCE}: {notices} notices go out, to each State that was told it stands"),
        );
        let mut told = 0;
        for office in [&self.brazil, &self.tanzania, &self.uganda] {
            told += self.suspensions(office)?;
        }
        expect("the States that were told", &notices.to_string(), &told.to_string())?;
        let reason = Some(prose("Kenya has suspended the import licence."));
        self.tanzania.act(&shipment.tanzania, Act::Rescind { reason })?;
        let view = self.brazil.wait_until(&shipment.tanzania, State::Rescinded)?;
        say(
            "Tanzania",
            &format!("takes its clearance back; Brazil's file says: {}", view.summary.state.as_str()),
        );
        let reason = prose("The shipment does not leave.");
        self.brazil.act(&shipment.uganda, Act::Withdraw { reason })?;
        self.uganda.wait_until(&shipment.uganda, State::Withdrawn)?;
        say("Brazil", "withdraws what it asked of Uganda. The crates stay in Santos");
        Ok(())
    }

    /// The exchanges at `office` that say now that the licence is suspended.
    fn suspensions(&self, office: &super::Office) -> Result<usize, DemoError> {
        let page =
            || office.get::<ExchangePage>(&format!("/v1/exchanges?peer=KEN&subject={LICENCE}&limit=200"));
        let began = Instant::now();
        loop {
            let told: Vec<String> = page()?
                .exchanges
                .into_iter()
                .filter_map(|summary| summary.outcome.filter(|text| text.contains("SUSPENDED")))
                .collect();
            if let Some(text) = told.first() {
                say(office.name, &format!("now reads: {text}"));
                return Ok(told.len());
            }
            if began.elapsed() > super::PATIENCE {
                return Err(DemoError::Waited { what: format!("Kenya's notice at {}", office.name) });
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

fn number(text: &str) -> LicenceNo {
    text.parse().expect("a number")
}
