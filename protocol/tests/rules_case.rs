//! What a trace case makes of the answers (R-12.4, R-SDG-1, scenarios T3 to T7).

mod office;
mod samples;
mod shelf;
mod traces;

use liaison_protocol::case::{self, Finding, Hop, Progress};
use liaison_protocol::handling::Coded;
use liaison_protocol::item::{Item, Part, PartKind};
use liaison_protocol::mark::{Decoded, Mark, MarkKind, Raw};
use liaison_protocol::message::{Body, Kind, MessageId};
use liaison_protocol::operator::{Act, Side, State};
use liaison_protocol::trace::{
    Conclusion, HolderKind, LastLegalRecord, LegalStatus, MatchLevel, ResultCode, TraceRequest, TraceResponse,
};
use office::{EVERYTHING, Office, introduce, line};
use samples::{date, delayed, destroyed, exported_to, interim, prose, refused, response, trace_request};
use traces::{act, answer, ask, asked, concluded, corrected, peru, whole};

/// A case of Peru's, and the States it asked, hop by hop.
struct Case {
    peru: Office,
    asked: Vec<(&'static str, Office, MessageId)>,
}

impl Case {
    /// One hop to each State in turn, answered by these.
    fn of(answers: &[(&'static str, Option<Act>)]) -> Self {
        let peru = Office::new(99, "armas.example.pe/liaison", "PER", EVERYTHING);
        let mut case = Self { peru, asked: Vec::new() };
        for (state, answer) in answers {
            case.ask(state);
            if let Some(answer) = answer {
                case.says(case.asked.len() - 1, answer.clone());
            }
        }
        case
    }

    fn ask(&mut self, state: &'static str) {
        let hop = self.asked.len() as u32 + 1;
        let node = format!("firearms.example.{}/liaison", state.to_lowercase());
        let mut other = Office::new(hop as u8, &node, state, EVERYTHING);
        introduce(&mut other, &mut self.peru);
        let id = ask(&mut self.peru, &mut other, TraceRequest { hop, ..trace_request() });
        self.asked.push((state, other, id));
    }

    /// The State asked in this place acts: its node may be older than the rules of ours.
    fn says(&mut self, place: usize, said: Act) {
        let (_, other, id) = &mut self.asked[place];
        let said = other.act_unchecked(*id, said);
        self.peru.take(other, &said);
    }

    /// Peru acts towards the State asked in this place.
    fn tells(&mut self, place: usize, said: Act) {
        let (_, other, id) = &mut self.asked[place];
        let said = self.peru.act_unchecked(*id, said);
        other.take(&mut self.peru, &said);
    }

    /// Peru tells every State whose answer is open to it what it concluded, as the node does.
    fn conclude(&mut self, conclusion: Conclusion) {
        for place in 0..self.asked.len() {
            let standing = self.peru.standing(&self.asked[place].2);
            if standing.acts(Kind::TraceRequest, Side::Requesting).contains(&"conclude") {
                self.tells(place, Act::Conclude { outcome: concluded(conclusion) });
            }
        }
    }

    fn hops(&self) -> Vec<Hop> {
        let named = self.peru.desk.hops(&self.peru.shelf, Some(&line("case-7")));
        assert_eq!(named.len(), self.asked.len(), "the case owns its hops");
        let hop = |(state, _, id): &(&str, Office, MessageId)| Hop {
            state: state.parse().expect("a State"),
            exchange: self.peru.exchange(id),
            due: self.peru.due(id),
        };
        // In whatever order they are shown.
        self.asked.iter().rev().map(hop).collect()
    }

    fn found(&self) -> Finding {
        case::find(&peru(), &self.hops())
    }
}

/// What Peru's case comes to, with one hop to each State in turn, answered by these.
fn case(answers: &[(&'static str, Option<Act>)]) -> Finding {
    Case::of(answers).found()
}

#[test]
fn r_12_4_a_case_is_concluded_only_until_an_answer_changes() {
    use ResultCode::{NoRecord, PredatesRecords};
    // Two States that have answered; then whatever may happen, in four steps: one corrects, the other, or Peru concludes.
    for story in 0..3_u32.pow(4) {
        let mut case =
            Case::of(&[("KEN", Some(answer(response(NoRecord)))), ("UGA", Some(answer(response(NoRecord))))]);
        let (mut expected, mut conclusions) = (Progress::ExhaustedUnsuccessful, 0);
        for step in 0..4 {
            match story / 3_u32.pow(step) % 3 {
                2 => {
                    // A conclusion that says the same to nobody is none.
                    let open = expected != Progress::Concluded;
                    conclusions += u32::from(open);
                    case.conclude(if conclusions == 1 {
                        Conclusion::Stalled
                    } else {
                        Conclusion::ExhaustedUnsuccessful
                    });
                    expected = Progress::Concluded;
                }
                place => {
                    case.says(place as usize, corrected(response(PredatesRecords)));
                    if conclusions > 0 {
                        expected = Progress::Reopened;
                    }
                }
            }
            let finding = case.found();
            assert_eq!(finding.progress, expected, "story {story}, step {step}: {}", finding.why);
            match finding.progress {
                Progress::Concluded if conclusions == 1 => assert_eq!(finding.why, "concluded: STALLED"),
                Progress::Concluded => assert_eq!(finding.why, "concluded: EXHAUSTED_UNSUCCESSFUL"),
                Progress::Reopened => {
                    let who = ["KEN", "UGA"][(story / 3_u32.pow(step) % 3) as usize];
                    let why = format!("reopened: {who} corrected its answer since it was concluded; ");
                    assert!(finding.why.starts_with(&why), "story {story}, step {step}: {}", finding.why);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn r_12_4_what_was_concluded_does_not_hide_what_is_known_since() {
    let mut case = Case::of(&[("KEN", Some(answer(destroyed())))]);
    case.conclude(Conclusion::PodEstablished);
    let finding = case.found();
    assert_eq!((finding.progress, finding.diversion.is_some()), (Progress::Concluded, true));
    case.says(0, corrected(exported_to("UGA")));
    let finding = case.found();
    assert_eq!((finding.progress, finding.diversion), (Progress::Reopened, None));
    assert_eq!(finding.next.expect("Uganda").state.as_str(), "UGA");
    // The next State is asked, answers, and Peru concludes anew: of its answer, and of the corrected one.
    case.ask("UGA");
    assert!(case.found().why.contains("UGA was asked since it was concluded; UGA has not answered yet"));
    case.says(1, answer(response(ResultCode::NoRecord)));
    case.conclude(Conclusion::LastLegalRecordOnly);
    assert_eq!(case.found().why, "concluded: LAST_LEGAL_RECORD_ONLY");
    // One more question, and it is taken back: nothing has changed.
    case.ask("CHL");
    assert_eq!(case.found().progress, Progress::Reopened);
    case.tells(2, Act::Withdraw { reason: prose("The owner was found.") });
    assert_eq!(case.found().progress, Progress::Concluded);
    // What was concluded without a diversion has none.
    assert_eq!(case.found().diversion, None);
}

#[test]
fn r_12_4_what_is_not_final_or_matches_no_record_establishes_nothing() {
    let diversion = destroyed().point_of_diversion;
    for code in ResultCode::ALL {
        for (interim, level) in MatchLevel::ALL.iter().flat_map(|level| [(false, level), (true, level)]) {
            let said = TraceResponse {
                interim,
                match_level: Coded::Known(*level),
                matched_item: Some(samples::pistol()),
                chosen_because: Some(prose("The laboratory restored a digit.")),
                point_of_diversion: diversion.clone(),
                ..whole(*code)
            };
            let finding = case(&[("KEN", Some(answer(said)))]);
            let firm = !interim && *level != MatchLevel::None && *code != ResultCode::Delayed;
            assert_eq!(finding.progress == Progress::PodEstablished, firm, "{code} {level}: {}", finding.why);
            assert_eq!(finding.diversion.is_some(), firm, "{code} {level}: {}", finding.why);
            if interim && *code != ResultCode::Delayed {
                assert_eq!(finding.progress, Progress::Waiting, "{code} {level}");
                let said = format!("KEN answered for now {code}");
                assert!(finding.why.starts_with(&said), "{}", finding.why);
                assert!(finding.why.ends_with("establishes nothing; more is to come"), "{}", finding.why);
            }
        }
    }
}

#[test]
fn r_12_4_an_answer_from_a_record_that_is_not_the_items_is_no_end() {
    use ResultCode::{
        GovernmentStock, LastLegalHolderIdentified, ManufactureConfirmedNoDisposition, TracedToDealerOnly,
    };
    for code in
        [GovernmentStock, LastLegalHolderIdentified, ManufactureConfirmedNoDisposition, TracedToDealerOnly]
    {
        let said = TraceResponse {
            match_level: Coded::Known(MatchLevel::None),
            last_legal_record: None,
            point_of_diversion: None,
            ..whole(code)
        };
        let finding = case(&[("KEN", Some(answer(said)))]);
        assert_eq!(finding.progress, Progress::Stalled, "{code}");
        assert!(finding.why.contains("of no record that matches the item"), "{code}: {}", finding.why);
    }
}

#[test]
fn r_12_4_what_is_waited_for_is_told_as_it_is() {
    let mut case = Case::of(&[("KEN", Some(answer(interim())))]);
    let why = case.found().why;
    assert!(why.starts_with("KEN answered for now MANUFACTURE_CONFIRMED_NO_DISPOSITION, which"), "{why}");
    case.says(0, Act::AskInformation { questions: vec![prose("Is there an import mark?")] });
    let why = case.found().why;
    assert!(why.ends_with("more is to come: it asks us for more information first"), "{why}");
    case.says(0, answer(delayed("2026-12-01")));
    let why = case.found().why;
    assert!(why.ends_with("more is to come: it was put off until 2026-12-01"), "{why}");
    case.says(0, answer(response(ResultCode::NoRecord)));
    case.tells(0, Act::AskClarification { question: prose("Which years were searched?") });
    let finding = case.found();
    assert_eq!(finding.progress, Progress::Waiting);
    assert_eq!(finding.why, "KEN answered NO_RECORD, and has not explained it yet");
}

#[test]
fn r_12_4_each_final_answer_ends_a_case_in_its_own_words() {
    use Progress::{
        ExhaustedUnsuccessful as Exhausted, LastLegalRecordOnly as Record, NextHopProposed, Stalled,
    };
    let mut told = Vec::new();
    for code in ResultCode::ALL {
        let expected = match code {
            ResultCode::CompanyDefunct => (Exhausted, "company"),
            ResultCode::Delayed => (Progress::Waiting, "put off until 2026-12-01"),
            ResultCode::Duplicate => (Stalled, "the same request already, our hop 1"),
            ResultCode::ExportedTo => (NextHopProposed, "KEN names CHL: exported there"),
            ResultCode::GovernmentStock => (Record, "government stock"),
            ResultCode::ImportedNoDomesticRecord => (Record, "imported it"),
            ResultCode::InsufficientInformation => (Stalled, "tell it more"),
            ResultCode::LastLegalHolderIdentified => (Record, "last legal holder"),
            ResultCode::ManufactureConfirmedNoDisposition => (Record, "confirms the manufacture"),
            ResultCode::MarkObliterated => (Stalled, "once it is restored"),
            ResultCode::MlaRequired => (Stalled, "mutual legal assistance by Tracing Centre"),
            ResultCode::MultipleCandidates => (Stalled, "found 3 candidates: give it more marks"),
            ResultCode::NoRecord => (Exhausted, "no State that was asked has a record of it"),
            ResultCode::NotOfOurManufacture => (Stalled, "did not make it"),
            ResultCode::PredatesRecords => (Exhausted, "older than the records of KEN"),
            ResultCode::PrivatelyMadeNoRecord => (Exhausted, "privately made"),
            ResultCode::RecordsLost => (Exhausted, "the records of KEN are lost"),
            ResultCode::Redirected => (Stalled, "redirects to Tracing Centre"),
            ResultCode::Refused => (Stalled, "KEN refused (ONGOING_INVESTIGATION)"),
            ResultCode::Restricted => (Stalled, "restricted its answer (ONGOING_INVESTIGATION)"),
            ResultCode::RetentionExpired => (Exhausted, "no longer"),
            ResultCode::SerialInvalidForModel => (Stalled, "serial number: look at the marks again"),
            ResultCode::TracedToDealerOnly => (Record, "to a dealer"),
            code if code.establishes_diversion() => (Progress::PodEstablished, "KEN answered "),
            code => panic!("{code} has no end of its own"),
        };
        let said = TraceResponse {
            candidates: (*code == ResultCode::MultipleCandidates).then_some(3),
            duplicate_of: Some(line("our hop 1")).filter(|_| *code == ResultCode::Duplicate),
            ..whole(*code)
        };
        let finding = case(&[("KEN", Some(answer(said)))]);
        assert_eq!(finding.progress, expected.0, "{code}: {}", finding.why);
        assert!(finding.why.contains(expected.1), "{code}: {}", finding.why);
        // The register says that it has one: without a match it has none.
        if code.is_on_record() && *code != ResultCode::ExportedTo {
            let unmatched = TraceResponse { match_level: Coded::Known(MatchLevel::None), ..whole(*code) };
            let finding = case(&[("KEN", Some(answer(unmatched)))]);
            assert_eq!(finding.progress, Stalled, "{code}: {}", finding.why);
            assert!(finding.why.contains("establishes nothing: ask what it means"), "{}", finding.why);
        }
        assert!(!told.contains(&finding.why), "{code}: {}", finding.why);
        told.push(finding.why);
    }
}

#[test]
fn r_12_4_of_several_ends_each_is_told_and_none_is_told_of_another() {
    let finding =
        case(&[("KEN", Some(answer(response(ResultCode::NoRecord)))), ("UGA", Some(answer(refused())))]);
    assert_eq!(finding.progress, Progress::Stalled);
    assert_eq!(finding.why, "KEN has no record of it; UGA refused (ONGOING_INVESTIGATION)");
    let none = || Some(answer(response(ResultCode::NoRecord)));
    assert_eq!(case(&[("KEN", none()), ("UGA", none())]).why, "no State that was asked has a record of it");
    // An export that was traced on is no end; where the next State's records are gone, nobody knows where it was lost.
    let lost = Some(answer(response(ResultCode::RecordsLost)));
    let finding = case(&[("KEN", Some(answer(exported_to("UGA")))), ("UGA", lost)]);
    assert_eq!(finding.progress, Progress::LastLegalRecordOnly);
    assert_eq!(finding.why, "KEN exported it to UGA; the records of UGA are lost");
}

#[test]
fn a_hop_has_the_number_it_was_asked_under() {
    let hops = Case::of(&[("KEN", None), ("UGA", None)]).hops();
    assert_eq!(hops.iter().map(Hop::number).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn r_12_4_the_next_hop_is_neither_ours_nor_one_that_was_asked() {
    let names = |code, state| TraceResponse { next_hop: exported_to(state).next_hop, ..whole(code) };
    use ResultCode::{ExportedTo, NotOfOurManufacture, Redirected};
    for (code, state, words) in [
        (ExportedTo, "PER", "KEN says that it was exported to us: search our own records"),
        (Redirected, "PER", "KEN says that we may know it ourselves: search our own records"),
        (NotOfOurManufacture, "PER", "KEN says that we may know it ourselves: search our own records"),
        (ExportedTo, "KEN", "exported to KEN, which is KEN itself: ask what that means"),
        (Redirected, "KEN", "KEN names Tracing Centre of its own: ask that one"),
        (ExportedTo, "UGA", "KEN names UGA, which was asked already, as hop 1"),
        (Redirected, "UGA", "KEN names UGA, which was asked already, as hop 1"),
    ] {
        let finding = case(&[("UGA", Some(answer(refused()))), ("KEN", Some(answer(names(code, state))))]);
        assert_eq!((finding.progress, &finding.next), (Progress::Stalled, &None), "{code} {state}");
        assert!(finding.why.contains(words), "{code} {state}: {}", finding.why);
    }
    // Whoever redirects, or did not make it, may say who is to be asked.
    for (code, words, authority) in [
        (Redirected, "KEN redirects to BGR (Tracing Centre): ", Some(line("Tracing Centre"))),
        (NotOfOurManufacture, "KEN names BGR: ", None),
    ] {
        let finding = case(&[("KEN", Some(answer(names(code, "BGR"))))]);
        assert_eq!(finding.progress, Progress::NextHopProposed, "{code}");
        assert!(finding.why.starts_with(words), "{code}: {}", finding.why);
        let next = finding.next.expect("Bulgaria");
        assert_eq!((next.state.as_str(), next.authority), ("BGR", authority), "{code}");
    }
}

#[test]
fn t3_an_answer_that_names_the_next_state_proposes_a_hop_and_is_no_success() {
    let finding = case(&[("KEN", Some(answer(exported_to("CHL"))))]);
    assert_eq!((finding.progress, finding.diversion), (Progress::NextHopProposed, None));
    let next = finding.next.expect("Chile");
    assert_eq!(next.state.as_str(), "CHL");
    assert_eq!(next.licence_no.expect("the licence goes with it").as_str(), "L-1998/17");
    // Asked already: it is waited for.
    let finding = case(&[("KEN", Some(answer(exported_to("CHL")))), ("CHL", None)]);
    assert_eq!((finding.progress, finding.next), (Progress::Waiting, None));
    // Back to a State that was asked: no circle, and said so.
    let finding =
        case(&[("KEN", Some(answer(exported_to("CHL")))), ("CHL", Some(answer(exported_to("KEN"))))]);
    assert_eq!((finding.progress, finding.next), (Progress::Stalled, None));
    assert!(finding.why.starts_with("CHL names KEN, which was asked already, as hop 1"), "{}", finding.why);
}

#[test]
fn t7_what_is_recorded_as_destroyed_and_recovered_establishes_the_diversion() {
    for code in ResultCode::ALL {
        let is_alarming = matches!(
            code,
            ResultCode::PreviouslySeized
                | ResultCode::PreviouslySurrendered
                | ResultCode::RecordedDeactivated
                | ResultCode::RecordedDestroyed
        );
        assert_eq!(code.is_alarming(), is_alarming, "{code}");
        assert!(!is_alarming || code.establishes_diversion(), "{code}");
    }
    let finding = case(&[("CHL", Some(answer(exported_to("KEN")))), ("KEN", Some(answer(destroyed())))]);
    assert_eq!(finding.progress, Progress::PodEstablished);
    assert_eq!(finding.diversion.expect("Kenya's stores").state.as_str(), "KEN");
    assert!(finding.why.contains("RECORDED_DESTROYED"), "{}", finding.why);
}

#[test]
fn a_case_says_why_it_ends_where_it_ends() {
    let known = TraceResponse {
        last_legal_record: Some(LastLegalRecord {
            status: Coded::Known(LegalStatus::LawfullyHeld),
            date: None,
            holder: Coded::Known(HolderKind::Dealer),
            reference: None,
        }),
        match_level: Coded::Known(MatchLevel::Exact),
        ..response(ResultCode::TracedToDealerOnly)
    };
    for (hops, expected, why) in [
        (vec![("KEN", Some(answer(refused())))], Progress::Stalled, "refused"),
        (vec![("KEN", Some(answer(delayed("2026-12-01"))))], Progress::Waiting, "not answered yet"),
        (vec![("KEN", Some(answer(known)))], Progress::LastLegalRecordOnly, "to a dealer, and no further"),
        (
            vec![("KEN", Some(answer(response(ResultCode::NoRecord))))],
            Progress::ExhaustedUnsuccessful,
            "no State",
        ),
        (
            vec![
                ("KEN", Some(answer(exported_to("CHL")))),
                ("CHL", Some(answer(response(ResultCode::NoRecord)))),
            ],
            Progress::LastLegalRecordOnly,
            "KEN exported it to CHL, and CHL has no record of it: it was lost between the two, or after",
        ),
    ] {
        let finding = case(&hops);
        assert_eq!(finding.progress, expected, "{}", finding.why);
        assert!(finding.why.contains(why), "{}", finding.why);
    }
    assert_eq!(case::find(&peru(), &[]).progress, Progress::Waiting);
}

#[test]
fn r_sdg_1_the_time_to_recovery_is_counted_from_the_last_record_before_it_that_is_firm() {
    let held = |on: &str, level| {
        Some(answer(TraceResponse {
            last_legal_record: Some(LastLegalRecord {
                status: Coded::Known(LegalStatus::Exported),
                date: Some(date(on)),
                holder: Coded::Known(HolderKind::Dealer),
                reference: None,
            }),
            match_level: Coded::Known(level),
            ..exported_to("CHL")
        }))
    };
    for (answers, days) in [
        // Recovered on 1 September 2026.
        (vec![("KEN", held("2026-08-02", MatchLevel::Exact))], Some(30)),
        (vec![("KEN", held("2026-09-01", MatchLevel::Exact))], Some(0)),
        (
            vec![
                ("KEN", held("2025-09-01", MatchLevel::Exact)),
                ("UGA", held("2026-08-31", MatchLevel::Exact)),
                ("CHL", held("2026-09-02", MatchLevel::Exact)),
            ],
            Some(1),
        ),
        (vec![("KEN", held("2026-08-02", MatchLevel::None))], None),
        (vec![("KEN", Some(answer(destroyed()))), ("UGA", None)], None),
        (Vec::new(), None),
    ] {
        assert_eq!(case::time_to_recovery(&Case::of(&answers).hops()), days, "{answers:?}");
    }
}

#[test]
fn r_12_4_nothing_is_concluded_before_there_is_an_answer() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    let early = Body::TraceOutcome(concluded(Conclusion::Stalled));
    let blurted = peru.blurt(&kenya.us(), Some(id), early);
    kenya.take(&mut peru, &blurted);
    for office in [&kenya, &peru] {
        let standing = office.standing(&id);
        assert_eq!((standing.state, standing.conclusion), (State::Delivered, None));
    }
    act(&mut kenya, &mut peru, id, answer(response(ResultCode::NoRecord)));
    assert_eq!(peru.standing(&id).state, State::Answered);
}

#[test]
fn r_12_4_the_state_of_the_last_import_is_asked_first_and_each_state_once() {
    let mark = |kind, state: &str| {
        let mut mark = Mark::seen(kind, Raw::typed("a crown").expect("a mark"));
        mark.decoded = Some(Decoded { country: Some(state.parse().expect("a State")), ..Decoded::default() });
        mark
    };
    let Item::Firearm(mut pistol) = samples::pistol() else { panic!("a pistol") };
    pistol.marks = vec![
        mark(MarkKind::Country, "CZE"),
        mark(MarkKind::Proof, "ITA"),
        mark(MarkKind::SymbolCode, "BGR"),
        mark(MarkKind::ExGovernmentTransfer, "URY"),
        mark(MarkKind::ImportCountry, "KEN"),
        mark(MarkKind::ImportCountry, "URY"),
    ];
    let hops =
        |item: &Item| case::first_hops(item).iter().map(|(state, _)| state.to_string()).collect::<Vec<_>>();
    // A proof mark says where it was proved, not where it went.
    assert_eq!(hops(&Item::Firearm(pistol)), ["KEN", "URY", "BGR", "CZE"]);
    assert_eq!(hops(&samples::pistol()), ["BGR"], "with no mark that tells, the State where it was made");
    assert_eq!(hops(&Item::Part(Box::new(Part::of(PartKind::Receiver)))), Vec::<String>::new());
}

#[test]
fn silence_concludes_no_case() {
    let (_, mut peru, id) = asked(trace_request());
    let found = |peru: &Office| {
        let state = "KEN".parse().expect("a State");
        case::find(&self::peru(), &[Hop { state, exchange: peru.exchange(&id), due: peru.due(&id) }])
    };
    assert_eq!(found(&peru).progress, Progress::Waiting);
    peru.wait(peru.due(&id).expect("owed").at);
    let finding = found(&peru);
    assert_eq!((finding.progress, finding.diversion, finding.next), (Progress::Stalled, None, None));
}
