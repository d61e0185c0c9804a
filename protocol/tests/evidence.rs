//! Evidence of exchanges that did not go well, and of exporters that do not tell the truth: two logs in memory, made as
//! two nodes make them.

mod shelf;
mod world;

use std::collections::BTreeMap;

use liaison_protocol::attachment::{self, Attachment};
use liaison_protocol::authority::{By, Timestamp};
use liaison_protocol::entry::{Entry, Logged, Record, Written};
use liaison_protocol::envelope::Verified;
use liaison_protocol::evidence::{self, Claim, Evidence, Files, Given, Opened, Proven, Report, Topic};
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Disclosure, Handling, Purpose, Recipient, Restraint};
use liaison_protocol::jws;
use liaison_protocol::key_set::{KeyChain, Revocation};
use liaison_protocol::merkle::{
    Hash, LeafIndex, Tree, TreeHead, consistency_proof, inclusion_proof, leaf_hash,
};
use liaison_protocol::message::{Acknowledgement, Body, Message, MessageId, Withdrawal};
use liaison_protocol::note::{AddCheckpoint, SignedCheckpoint, TlogProof, cosign, sign_checkpoint};
use liaison_protocol::operator::{Act, Enclosed, Order};
use world::{CHILE, DAY, KENYA, PERU, Party, START, follow, opener, request};

/// One State's log.
struct Book {
    party: Party,
    written: Vec<Written>,
    tree: Tree,
    now: Timestamp,
}

impl Book {
    fn new(party: Party) -> Self {
        let mut book = Self { party, written: Vec::new(), tree: Tree::new(), now: START.plus(DAY) };
        let (node, state) = (party.node(), party.state.parse().expect("a State"));
        book.write(Record::Genesis { node, state, log: 1 });
        book
    }

    fn write(&mut self, record: Record) -> LeafIndex {
        self.now = self.now.plus(1);
        let salt = [self.written.len() as u8; 32];
        let written = record.write(self.now, &salt);
        let leaf = self.tree.append(leaf_hash(written.entry.as_bytes()));
        self.written.push(written);
        leaf
    }

    fn head(&self) -> SignedCheckpoint {
        let origin = self.party.node().log_origin(1);
        sign_checkpoint(&self.party.secret("log-1"), &origin, &self.tree.head())
    }

    fn logged(&self, leaf: LeafIndex) -> Logged {
        let entry = self.written[leaf.0 as usize].entry.clone();
        let proof = inclusion_proof(&self.tree, leaf, self.tree.size()).expect("all known");
        Logged { entry, leaf, proof }
    }
}

/// Kenya, which exports, and Peru; what Kenya's log has of the exchange; Peru's heads as Kenya saw them.
struct Scene {
    ken: Book,
    per: Book,
    chains: [KeyChain; 2],
    tokens: Vec<String>,
    places: Vec<LeafIndex>,
    seen: BTreeMap<u64, SignedCheckpoint>,
    attachments: BTreeMap<String, Vec<u8>>,
    /// Kenya's head that Peru cosigned.
    cosigned: Option<SignedCheckpoint>,
}

impl Scene {
    fn new() -> Self {
        Self {
            ken: Book::new(KENYA),
            per: Book::new(PERU),
            chains: [KENYA.chain(), PERU.chain()],
            tokens: Vec::new(),
            places: Vec::new(),
            seen: BTreeMap::new(),
            attachments: BTreeMap::new(),
            cosigned: None,
        }
    }

    /// Peru says something: sent, and taken by Kenya.
    fn peru_says(&mut self, said: &Verified) -> LeafIndex {
        let (from, token) = (PERU.node(), said.token().to_owned());
        let leaf = self.per.write(Record::Sent { to: KENYA.node(), token: token.clone() });
        let (proof, head) = (self.per.logged(leaf), self.see_peru());
        let place = self.ken.write(Record::Received { from, token: token.clone(), proof, head });
        self.tokens.push(token);
        self.places.push(place);
        place
    }

    fn see_peru(&mut self) -> TreeHead {
        let head = self.per.head();
        self.seen.insert(head.head().size, head.clone());
        *head.head()
    }

    /// Kenya says something: it is in its own log, and no more.
    fn kenya_says(&mut self, said: &Verified) {
        let token = said.token().to_owned();
        let place = self.ken.write(Record::Sent { to: PERU.node(), token: token.clone() });
        self.tokens.push(token);
        self.places.push(place);
    }

    /// Peru takes it, or refuses it for good, and Kenya holds the proof.
    fn peru_receipts(&mut self, said: &Verified, refused: Option<Fault>) {
        let entry = world::receipt_entry(&KENYA.node(), said.id(), refused, self.per.now.plus(1));
        self.per.now = self.per.now.plus(1);
        let (line, message) = (entry.line(), said.id());
        let leaf = self.per.tree.append(leaf_hash(line.as_bytes()));
        self.per.written.push(Written { entry: line, record: Vec::new(), salt: [0; 32] });
        let (proof, head) = (self.per.logged(leaf), self.see_peru());
        let place = self.ken.write(Record::Receipt { node: PERU.node(), message, proof, head });
        self.places.push(place);
        self.cosigned = Some(self.ken.head());
    }

    fn evidence(&self) -> Evidence {
        let [ken, per] = self.chains.clone();
        let party = |chain| evidence::Party { chain, proven: BTreeMap::new(), extensions: BTreeMap::new() };
        let (mut ours, mut theirs) = (party(ken), party(per));
        let newest = self.ken.head();
        let cosigned = self.cosigned.as_ref().map(|head| {
            let name = PERU.node().witness_name();
            let line = cosign(&PERU.secret("witness-1"), &name, self.per.now.0, head.checkpoint());
            (head.with_cosignatures([line.as_str()]), *head.head())
        });
        let newest = (newest.as_str().to_owned(), *newest.head());
        for place in &self.places {
            let under = cosigned.as_ref().filter(|(_, head)| place.0 < head.size).unwrap_or(&newest);
            let Written { entry, record, salt } = self.ken.written[place.0 as usize].clone();
            let proof = TlogProof {
                index: *place,
                proof: inclusion_proof(&self.ken.tree, *place, under.1.size).expect("all known"),
                checkpoint: under.0.clone(),
                extra: None,
            };
            if let Ok(
                Record::Received { proof: logged, head, .. } | Record::Receipt { proof: logged, head, .. },
            ) = Record::parse(&record)
            {
                let checkpoint = self.seen[&head.size].as_str().to_owned();
                let (index, entry) = (logged.leaf, logged.entry.clone());
                let proof = TlogProof { index, proof: logged.proof, checkpoint, extra: None };
                theirs.proven.insert((1, index), Proven { entry, proof, opened: None });
            }
            let opened = Some(Opened { salt, record });
            ours.proven.insert((1, *place), Proven { entry, proof, opened });
        }
        let beyond = |head: &TreeHead| self.places.iter().any(|place| place.0 >= head.size);
        if let Some((_, old)) = cosigned.filter(|(_, head)| beyond(head)) {
            let proof = consistency_proof(&self.ken.tree, old.size, newest.1.size).expect("all known");
            ours.extensions.insert(1, AddCheckpoint { old: old.size, proof, checkpoint: newest.0 });
        }
        Evidence {
            exporter: ours,
            other: theirs,
            messages: self.tokens.clone(),
            attachments: self.attachments.clone(),
        }
    }

    fn report(&self) -> Report {
        evidence::verify(&files(&self.evidence()))
    }
}

fn files(evidence: &Evidence) -> Files {
    evidence.files(&Given {
        exchange: asked().id(),
        purpose: Purpose::Licensing,
        to: Recipient::Court,
        by: By::Officers { prepared: "okello".parse().expect("an officer"), approved: None },
        at: START.plus(2 * DAY),
    })
}

fn asked() -> Verified {
    PERU.seal(opener(&PERU, &KENYA, 1, request()))
}

fn acknowledged() -> Verified {
    let body = Acknowledgement { unit: "Registry".parse().expect("a line"), expected: None, note: None };
    let id = asked().id();
    KENYA.seal(follow(&KENYA, &PERU, 1, id, [None, Some(id)], Body::Acknowledgement(body)))
}

fn withdrawn(n: u64, prev: MessageId) -> Verified {
    let body = Withdrawal { reason: "The export was cancelled.".parse().expect("prose") };
    let said = follow(&PERU, &KENYA, n, asked().id(), [Some(prev), None], Body::Withdrawal(body));
    PERU.seal(Message { irt: None, ..said })
}

/// Peru asks, Kenya's officer takes charge of it, and all is receipted.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.peru_says(&asked());
    let place = scene.ken.write(acknowledge(asked().id()));
    scene.places.push(place);
    scene.kenya_says(&acknowledged());
    scene.peru_receipts(&acknowledged(), None);
    scene
}

fn acknowledge(exchange: MessageId) -> Record {
    let act = Act::Acknowledge { unit: "Registry".parse().expect("a line"), expected: None, note: None };
    Record::Order {
        order: Order::Act { exchange, peer: PERU.node(), act, enclosed: Enclosed::default() },
        by: By::Officers { prepared: "okello".parse().expect("an officer"), approved: None },
        key: None,
        via: "registry-desk".parse().expect("an officer"),
        register: None,
    }
}

#[track_caller]
fn holds(report: &Report, says: &str) {
    let said: Vec<&str> = report.claims().iter().map(|claim| claim.says.as_str()).collect();
    assert!(report.holds(), "{:#?}", report.claims());
    assert!(said.iter().any(|claim| claim.contains(says)), "{says}: {said:#?}");
}

#[track_caller]
fn fails(report: &Report, topic: Topic, why: &str) {
    let flaws: Vec<_> = report.claims().iter().filter(|claim| claim.flaw.is_some()).collect();
    let found = flaws
        .iter()
        .any(|claim| claim.topic == topic && claim.flaw.as_ref().is_some_and(|flaw| flaw.contains(why)));
    assert!(found, "{topic:?} {why}: {flaws:#?}");
}

#[test]
fn a_whole_exchange_holds_claim_by_claim_and_reads_back() {
    let scene = scene();
    let report = scene.report();
    for says in [
        "PER said this to KEN on 2026-09-21 14:13:21Z, under its key msg-1",
        "PER's log has it, entry 1 of",
        "KEN's log took it, entry 1 of",
        "cosigned by PER at",
        "okello ordered \"acknowledge\", with the token of registry-desk",
        "are those they commit to, and belong to this exchange; 3 of them are its mail",
    ] {
        holds(&report, says);
    }
    assert_eq!(report.exchange(), Some(asked().id()));
    let states: Vec<_> = report.parties().iter().map(|party| party.state.as_str()).collect();
    assert_eq!(states, ["KEN", "PER"]);
    let heard: Vec<_> = report
        .heard()
        .iter()
        .map(|heard| (heard.from.as_str(), heard.to.as_str(), heard.kind.as_str()))
        .collect();
    assert_eq!(heard, [("PER", "KEN", "licence-verification-request"), ("KEN", "PER", "acknowledgement")]);
    let files = files(&scene.evidence());
    assert_eq!(Evidence::read(&files), Ok(scene.evidence()));
    let archive = evidence::pack(&files).expect("small");
    assert_eq!(evidence::unpack(&archive), Ok(files));
    assert_eq!(evidence::pack(&self::files(&scene.evidence())), Ok(archive), "made again it is the same");
}

#[test]
fn what_is_attached_is_what_its_message_names_and_what_is_left_out_is_said() {
    let (salt, content) = ([5; attachment::SALT_LEN], b"a photograph".to_vec());
    let named = Attachment {
        digest: attachment::digest(&salt, &content),
        salt: jws::encode(&salt),
        length: content.len() as u64,
        media_type: "image/jpeg".parse().expect("a line"),
        name: "../left side.png".parse().expect("a line"),
        view: None,
    };
    let asked = opener(&PERU, &KENYA, 1, request());
    let mut scene = Scene::new();
    scene.peru_says(&PERU.seal(Message { attachments: vec![named.clone()], ..asked }));
    holds(&scene.report(), "../left side.png went with it, and is not in this file");

    // Its file is named by its digest and its sort, never by what a peer calls it.
    let file = format!("{}.jpg", named.digest);
    scene.attachments.insert(file.clone(), content);
    holds(&scene.report(), &format!("../left side.png went with it: attachments/{file}"));
    assert!(scene.report().holds());
    assert_eq!(Evidence::read(&files(&scene.evidence())), Ok(scene.evidence()));

    scene.attachments.insert(file.clone(), b"A photograph".to_vec());
    fails(&scene.report(), Topic::Message(1), "not what the message names");
    scene.attachments = [(format!("{}.png", named.digest), b"a photograph".to_vec())].into();
    fails(&scene.report(), Topic::Files, "no message here names it");
}

#[test]
fn the_page_for_people_cannot_be_made_to_vouch_for_other_states() {
    let whole = files(&scene().evidence());
    let readme = String::from_utf8(whole["README.txt"].clone()).expect("text");
    let fingerprint = KENYA.chain().fingerprint().to_string();
    let other = fingerprint.replacen(&fingerprint[..4], "0000", 1);
    for (from, to) in [(fingerprint.as_str(), other.as_str()), ("KEN,", "UGA,"), ("1. Compare", "1. Believe")]
    {
        let mut altered = whole.clone();
        altered.insert("README.txt".into(), readme.replacen(from, to, 1).into_bytes());
        assert_ne!(altered, whole, "{from}");
        fails(&evidence::verify(&altered), Topic::Files, "written by somebody else");
    }
}

#[test]
fn a_copy_that_is_not_whole_or_brings_another_script_is_told() {
    let whole = files(&scene().evidence());
    for (name, instead, why) in [
        ("README.txt", None, "README.txt is missing"),
        ("verify.py", None, "verify.py is missing"),
        ("SHA256SUMS", None, "SHA256SUMS is missing"),
        ("verify.py", Some("print('it holds')"), "do not run it"),
        ("SHA256SUMS", Some(""), "a file was altered, added or taken away"),
    ] {
        let mut altered = whole.clone();
        altered.remove(name);
        altered.extend(instead.map(|text| (name.to_owned(), text.into())));
        fails(&evidence::verify(&altered), Topic::Files, why);
    }
}

#[test]
fn every_seventh_byte_flipped_is_found_without_the_sums() {
    let scene = scene();
    let whole = files(&scene.evidence());
    for (name, bytes) in whole.iter().filter(|(name, _)| name.contains('/')) {
        for at in (0..bytes.len()).step_by(7) {
            for bit in [1, 0x20] {
                let mut altered = whole.clone();
                altered.get_mut(name).expect("it is there")[at] ^= bit;
                let report = evidence::verify(&altered);
                let found = report.claims().iter().filter(|claim| claim.flaw.is_some()).count();
                // The sums tell of it, and something that is signed does too.
                assert!(found >= 2, "{name}, byte {at}: {:#?}", report.claims());
            }
        }
    }
}

#[test]
fn what_has_no_receipt_is_not_said_to_have_arrived() {
    let mut scene = Scene::new();
    scene.peru_says(&asked());
    scene.kenya_says(&acknowledged());
    holds(&scene.report(), "no receipt of PER is shown: nothing here proves that it arrived");
    holds(&scene.report(), "no head of KEN's log here is cosigned by PER");
}

#[test]
fn a_refusal_is_proven_like_a_receipt() {
    let mut scene = Scene::new();
    scene.peru_says(&asked());
    scene.kenya_says(&acknowledged());
    scene.peru_receipts(&acknowledged(), Some(Fault::Expired));
    holds(&scene.report(), "PER's log refused it for good");
}

#[test]
fn what_we_refused_unread_leaves_no_gap_if_our_log_says_so() {
    let mut scene = scene();
    let lost = withdrawn(2, asked().id());
    let next = withdrawn(3, lost.id());
    let (from, id) = (PERU.node(), Some(lost.id()));
    let denied =
        Record::Denied { from, fault: Fault::KindUnknown, id, exchange: None, number: None, uncounted: 0 };
    let place = scene.ken.write(denied);
    scene.peru_says(&next);
    fails(&scene.report(), Topic::Order, "which is missing");
    scene.places.push(place);
    holds(&scene.report(), "was refused for good");
}

#[test]
fn a_refusal_belongs_to_the_exchange_it_names_or_to_what_follows_what_was_refused() {
    let (lost, other) = (withdrawn(9, asked().id()).id(), MessageId(Hash::of(b"another")));
    for (id, exchange, belongs) in [
        (Some(lost), Some(asked().id()), true),
        (None, Some(asked().id()), true),
        (Some(lost), Some(other), false),
        (Some(lost), None, false),
        // Of what nobody could name: that an opener follows nothing does not make it what it follows.
        (None, None, false),
    ] {
        let mut scene = scene();
        let (from, fault) = (PERU.node(), Fault::KindUnknown);
        let denied = Record::Denied { from, fault, id, exchange, number: None, uncounted: 0 };
        let place = scene.ken.write(denied);
        scene.places.push(place);
        match belongs {
            true => holds(&scene.report(), "was refused for good"),
            false => fails(&scene.report(), Topic::Records, "it is about another exchange"),
        }
    }
}

#[test]
fn a_newer_head_extends_the_one_that_was_cosigned() {
    let mut scene = scene();
    scene.peru_says(&withdrawn(2, asked().id()));
    holds(&scene.report(), "begins with the 5 of the other head shown");
    // With the proof of another head than the one it is said to be of.
    let mut evidence = scene.evidence();
    evidence.exporter.extensions.get_mut(&1).expect("there is one").old -= 1;
    fails(&evidence::verify(&files(&evidence)), Topic::Log, "the extension is of other heads");
    // Without the proof, with one too many, or with that of another history.
    let mut evidence = scene.evidence();
    let extension = std::mem::take(&mut evidence.exporter.extensions);
    fails(&evidence::verify(&files(&evidence)), Topic::Log, "no extension that fits them");
    let mut whole = self::scene().evidence();
    whole.exporter.extensions = extension;
    fails(&evidence::verify(&files(&whole)), Topic::Log, "no extension that fits them");

    let mut forked = scene;
    let rewritten = Record::Sent { to: CHILE.node(), token: "a.b.c".to_owned() };
    forked.ken.written[0] = rewritten.write(START, &[9; 32]);
    forked.ken.tree = Tree::new();
    for written in &forked.ken.written {
        forked.ken.tree.append(leaf_hash(written.entry.as_bytes()));
    }
    let report = forked.report();
    assert!(!report.holds());
    let flaws = report.claims().iter().filter(|claim| claim.flaw.is_some());
    assert!(flaws.into_iter().all(|claim| claim.topic != Topic::Files), "the files are as they were made");
}

#[test]
fn an_exporter_that_rewrites_its_log_loses_the_cosignature_or_is_found() {
    let scene = scene();
    let honest = scene.evidence();
    // It alters its record, its entry, and signs anew: then Peru's cosignature is not on that head.
    let mut forged = Scene { cosigned: None, ..scene };
    let other = Record::Order {
        order: match acknowledge(asked().id()) {
            Record::Order { order, .. } => order,
            other => panic!("{other:?}"),
        },
        by: By::Auto { rule: "nobody".parse().expect("a line") },
        key: None,
        via: "registry-desk".parse().expect("an officer"),
        register: None,
    };
    let at = Entry::parse(&forged.ken.written[2].entry).expect("ours").t;
    forged.ken.written[2] = other.write(at, &[2; 32]);
    forged.ken.tree = Tree::new();
    for written in &forged.ken.written {
        forged.ken.tree.append(leaf_hash(written.entry.as_bytes()));
    }
    let alone = forged.report();
    assert!(alone.holds() && alone.claims().iter().all(|claim| !claim.says.contains("PER cosigned")));
    // With the cosigned head it had before, it does not fit.
    let mut evidence = forged.evidence();
    for (place, proven) in &mut evidence.exporter.proven {
        proven.proof.checkpoint = honest.exporter.proven[place].proof.checkpoint.clone();
    }
    fails(&evidence::verify(&files(&evidence)), Topic::Log, "does not lead to the root");
}

#[test]
fn what_does_not_belong_to_the_exchange_is_refused() {
    // An order in another exchange, a message of another one, a message that is missing.
    let mut other = scene();
    let place = other.ken.write(acknowledge(MessageId(Hash::of(b"another"))));
    other.places.push(place);
    fails(&other.report(), Topic::Records, "it is about another exchange");

    let mut two = scene();
    two.peru_says(&PERU.seal(opener(&PERU, &KENYA, 7, request())));
    fails(&two.report(), Topic::Order, "is of another exchange");

    let mut gap = scene();
    gap.peru_says(&withdrawn(3, withdrawn(2, asked().id()).id()));
    fails(&gap.report(), Topic::Order, "which is missing");

    let mut headless = scene();
    headless.tokens.remove(0);
    fails(&headless.report(), Topic::Order, "the message that opened the exchange is missing");
    fails(&headless.report(), Topic::Records, "its message is missing");

    let mut twice = scene();
    twice.peru_says(&withdrawn(1, asked().id()));
    fails(&twice.report(), Topic::Order, "has the number of another one");
}

#[test]
fn a_receipt_that_is_kept_back_is_missed() {
    let scene = scene();
    let mut evidence = scene.evidence();
    evidence.other.proven.retain(|_, proven| proven.entry.contains("msg.sent"));
    let report = evidence::verify(&files(&evidence));
    fails(&report, Topic::Message(2), "the proof of the receipt is missing");
    fails(&report, Topic::Records, "the other State's entry that it tells of is missing");
}

#[test]
fn an_entry_under_another_head_than_the_one_it_came_with_is_not_the_one_that_was_recorded() {
    let scene = scene();
    let mut evidence = scene.evidence();
    let newest = scene.per.head();
    for ((_, leaf), proven) in &mut evidence.other.proven {
        proven.proof.proof =
            inclusion_proof(&scene.per.tree, *leaf, scene.per.tree.size()).expect("all known");
        proven.proof.checkpoint = newest.as_str().to_owned();
    }
    let report = evidence::verify(&files(&evidence));
    fails(&report, Topic::Message(1), "pins another head of the other State's log");
    fails(&report, Topic::Records, "the other State's entry that it tells of is missing");
}

#[test]
fn a_key_that_was_revoked_from_before_proves_nothing() {
    let mut scene = scene();
    let first = PERU.signed();
    let next = PERU.after(&first, |set| {
        let (kid, reason) = ("msg-1".to_owned(), "stolen".parse().expect("a line"));
        set.revoked.push(Revocation { kid, untrusted_from: START, reason });
        set.keys.push(PERU.key("msg-2", liaison_protocol::key_set::KeyUse::Msg));
    });
    let next = PERU.sign(next, &["root-1", "root-2", "msg-1", "msg-2", "log-1", "witness-1"]);
    scene.chains[1].extend(next.json()).expect("the next version");
    let report = scene.report();
    fails(&report, Topic::Message(1), "revoked");
    // What it said is on record all the same.
    assert!(report.claims().iter().filter(|claim| claim.flaw.is_some()).all(Claim::is_revoked));
    scene.tokens.remove(0);
    let flawed =
        scene.report().claims().iter().filter(|claim| claim.flaw.is_some()).cloned().collect::<Vec<_>>();
    assert!(!flawed.is_empty() && !flawed.iter().any(Claim::is_revoked), "{flawed:#?}");
}

#[test]
fn files_without_their_like_are_no_evidence() {
    let whole = files(&scene().evidence());
    for (name, why) in [
        ("firearms.example.ke/log1/1.salt", "it is missing"),
        ("firearms.example.ke/log1/1.tlog-proof", "it is missing"),
        ("firearms.example.ke/key-sets", "it is missing"),
        ("messages/01.jws", "a message is missing"),
    ] {
        let mut files = whole.clone();
        files.remove(name);
        let flaw = Evidence::read(&files).expect_err(name).to_string();
        assert!(flaw.contains(why), "{name}: {flaw}");
    }
    for more in
        ["x", "messages/1.jws", "messages/a/b", "a.b/log01/1.salt", "a.b/log1/01.salt", "a.b/log1/1.txt"]
    {
        let mut files = whole.clone();
        files.insert(more.to_owned(), vec![0; 32]);
        assert!(Evidence::read(&files).is_err(), "{more}");
    }
    let key_sets = &whole["firearms.example.ke/key-sets"];
    for (name, instead) in [
        ("another State's", whole["armas.example.pe/key-sets"].clone()),
        ("in another spelling", key_sets[..key_sets.len() - 1].to_vec()),
    ] {
        let mut files = whole.clone();
        files.insert("firearms.example.ke/key-sets".to_owned(), instead);
        let flaw = Evidence::read(&files).expect_err(name).to_string();
        assert!(flaw.contains("not the key sets of that node, one version per line"), "{name}: {flaw}");
    }
    assert!(!evidence::verify(&Files::new()).holds());
}

#[test]
fn r_12_5a_a_condition_in_a_form_we_do_not_write_lets_nothing_out() {
    let disclosure = |to: &str| Disclosure {
        purpose: Purpose::Licensing,
        to: to.parse().expect("a recipient"),
        on: START.date(),
    };
    let giver = "PER".parse().expect("a State");
    let payload = world::payload_of(&asked())
        .replace("\"restrictions\":[", "\"embargo_until\":null,\"restrictions\":[");
    let header = PERU.header("licence-verification-request");
    let header = String::from_utf8(liaison_protocol::json::canonical(&header)).expect("UTF-8");
    let token = PERU.seal_raw(&header, &payload);
    let odd =
        liaison_protocol::envelope::open(&token, &PERU.node(), &PERU.chain(), &KENYA.node()).expect("opens");
    for (said, expected) in [(&asked(), None), (&odd, Some(Restraint::NotUnderstood))] {
        let withheld = evidence::withheld([said], &giver, &disclosure("court"));
        assert_eq!(withheld.into_iter().next().map(|one| one.restraint), expected);
        assert!(evidence::withheld([said], &giver, &disclosure("PER")).is_empty());
    }
    let to_chile = evidence::withheld([&asked()], &giver, &disclosure("CHL"));
    let text = to_chile[0].to_string();
    assert!(
        text.contains(&asked().id().to_string()) && text.contains("[R-12.5b; Art. 12(5); ITI 15(c)]"),
        "{text}"
    );
    let named =
        Handling { release_to: vec!["CHL".parse().expect("a State")], ..asked().message().handling.clone() };
    let named = PERU.seal(Message { handling: named, ..asked().message().clone() });
    assert!(evidence::withheld([&named], &giver, &disclosure("CHL")).is_empty());
}
