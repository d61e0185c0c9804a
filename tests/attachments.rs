//! Photographs and documents between real nodes: they come whole, across a killed process and a line that is gone, to
//! their addressee and to nobody else, and never as anything but what the sealed message names.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use liaison_node::keys::Keys;
use liaison_node::peers::{self, Event, Failure, Network, PeerAddress, TransportKey};
use liaison_node::system::free_bytes;
use liaison_protocol::attachment::Attachment;
use liaison_protocol::blob::{MAX_PIECE, PieceReply, PieceRequest};
use liaison_protocol::item::{Firearm, FirearmType, Item};
use liaison_protocol::mark::{Mark, MarkKind, Raw};
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::{AttachmentView, ExchangeView, NodeView};
use liaison_tests::processes::{Api, House, introduce, said, two, wait_for};
use liaison_tests::small_disk::SmallDisk;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A trace request, with these photographs.
fn trace(attachments: &[Attachment]) -> Value {
    let mut firearm = Firearm::of(FirearmType::Pistol);
    firearm.marks.push(Mark::seen(MarkKind::Serial, Raw::typed("AK 0123").expect("a mark")));
    json!({
        "question": "trace",
        "request": {
            "trace_case": "PE-2026-9", "hop": 1, "urgency": "ROUTINE", "illicit_basis": ["SUSPECTED"],
            "legal_justification": "found in a raid", "suspected_offences": ["UNKNOWN"],
            "item": Item::Firearm(Box::new(firearm)),
            "identification": "TRAINED_OFFICER", "questions": ["LAST_LEGAL_HOLDER"], "intended_use": "INVESTIGATION",
            "recovery": {"mode": "FOUND", "date": "2026-09-01", "place": "the port", "circumstances": "in a container"},
            "national_search": {"registers": ["firearms"], "date": "2026-09-02", "result": "nothing"},
        },
        "enclosed": {"attachments": attachments},
    })
}

/// Bytes that no compression shortens, and no two places of which are alike.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

fn attached(view: &ExchangeView) -> Vec<AttachmentView> {
    view.timeline.iter().flat_map(|item| item.attachments.clone()).collect()
}

#[test]
fn an_officer_sends_a_photograph_and_another_fetches_it_with_the_command() {
    let (ken, per) = two("KEN", "PER");
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let picture = noise(5, 300_000);
    fs::write(at("left.jpg"), &picture).expect("ours");
    fs::write(at("request.json"), trace(&[])["request"].to_string()).expect("ours");
    let (from, photo) = (at("request.json"), format!("MARK:{}", at("left.jpg")));
    let asked = ken.liaison(&["trace", "request", "--peer", "PER", "--from", &from, "--photo", &photo]);
    assert!(asked.status.success(), "{}", said(&asked));
    let id = ken.api().exchanges()[0].id.to_string();
    wait_for("it arrives", || (!per.api().exchanges().is_empty()).then_some(()));
    wait_for_all(per.api(), &id);
    let shown = said(&per.liaison(&["exchange", "show", &id]));
    assert!(shown.contains("attached") && shown.contains("left.jpg (mark), 300,000 bytes"), "{shown}");
    for house in [&ken, &per] {
        let out = at(&format!("{}.jpg", house.state));
        let fetched = house.liaison(&["exchange", "attachment", &id, "--out", &out]);
        assert!(fetched.status.success(), "{}", said(&fetched));
        assert!(fs::read(&out).expect("it was written") == picture);
        // What is there is not overwritten.
        let again = house.liaison(&["exchange", "attachment", &id, "--out", &out]);
        assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    }
}

/// Wait until the exchange is here, with all its attachments.
fn wait_for_all(api: &Api, id: &str) -> ExchangeView {
    wait_for("the attachments are here", || {
        let answer = api.ask("GET", &format!("/v1/exchanges/{id}"), None, None).ok()?;
        let view: ExchangeView = serde_json::from_value(answer.body).ok()?;
        attached(&view).iter().all(|attachment| attachment.here).then_some(view)
    })
}

/// Wait until the only attachment of the exchange is in such trouble.
fn wait_for_trouble(api: &Api, id: &str, trouble: &str) -> AttachmentView {
    wait_for(trouble, || {
        let answer = api.ask("GET", &format!("/v1/exchanges/{id}"), None, None).ok()?;
        let view: ExchangeView = serde_json::from_value(answer.body).ok()?;
        let attachment = attached(&view).into_iter().next()?;
        assert!(!attachment.here, "{attachment:?}");
        attachment.trouble.as_ref().is_some_and(|why| why.contains(trouble)).then_some(attachment)
    })
}

/// The files of attachments on their way to a node, and how long each is.
fn parts(house: &House) -> Vec<(PathBuf, u64)> {
    let parts = fs::read_dir(house.at("data/blobs/parts")).into_iter().flatten().flatten();
    parts.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect()
}

#[test]
fn a_disk_that_is_nearly_full_keeps_its_room_for_the_log() {
    let kept = tempfile::tempdir().expect("a folder for the test");
    let Some(_disk) = SmallDisk::mount(kept.path(), 64) else { return };
    let filler = kept.path().join("filler");
    let (mut ken, mut per) = (House::new("KEN"), House::within("PER", kept));
    ken.start();
    per.start();
    introduce(&ken, &per);
    // Room for the log, and for the photograph, but less than a twentieth.
    let mut file = fs::File::create(&filler).expect("there is room");
    while free_bytes(&per.at("data")).expect("a disk") > 2_500_000 {
        file.write_all(&[0; 256 * 1024]).expect("there is room");
    }
    let photo = ken.api().put_attachment("left.jpg", "image/jpeg", &noise(3, 9_000));
    let id = ken.api().open_exchange("PER", &trace(&[photo]), "K-1").summary.id.to_string();
    wait_for_trouble(per.api(), &id, "nearly full");
    fs::remove_file(&filler).expect("ours");
    drop(file);
    wait_for_all(per.api(), &id);
    drop(per);
}

#[test]
fn two_photographs_go_with_a_trace_request_and_one_with_its_answer() {
    let (ken, per) = two("KEN", "PER");
    let photos = [noise(1, 1_500_000), noise(2, 5)];
    let attached_by_per: Vec<Attachment> =
        photos.iter().map(|photo| per.api().put_attachment("left%20side.jpg", "image/jpeg", photo)).collect();
    let opened = per.api().open_exchange(&ken.node, &trace(&attached_by_per), "1");
    let id = opened.summary.id.to_string();
    assert!(attached(&opened).iter().all(|attachment| attachment.here), "our own are here");

    wait_for_all(ken.api(), &id);
    for (attachment, photo) in attached_by_per.iter().zip(&photos) {
        let digest = attachment.digest.to_string();
        for api in [ken.api(), per.api()] {
            assert_eq!(api.attachment(&id, &digest), (200, photo.clone()));
        }
        // Its name is its hash, on both sides.
        let file = fs::read(ken.at("data/blobs").join(&digest)).expect("it is there");
        assert_eq!(Hash::of(&file), attachment.digest);
    }
    assert_eq!(parts(&ken), []);

    // The other way: with an answer.
    let document = noise(3, 70_000);
    let attachment = ken.api().put_attachment("register.pdf", "application/pdf", &document);
    let act = json!({
        "act": "answer", "enclosed": {"attachments": [attachment]},
        "outcome": {
            "result_code": "NO_RECORD", "match_level": "NONE", "registers_searched": ["firearms"],
            "search_date": "2026-09-03",
        },
    });
    let answered = ken.api().try_send("POST", &format!("/v1/exchanges/{id}/acts"), &act, None);
    let answered = answered.expect("it answers");
    assert_eq!(answered.status, 200, "{answered:?}");
    wait_for("the answer's document is here", || {
        (per.api().attachment(&id, &attachment.digest.to_string()) == (200, document.clone())).then_some(())
    });
    for house in [&ken, &per] {
        let verified = house.verify_log();
        assert!(verified.status.success(), "{verified:?}");
    }
}

#[test]
fn what_a_node_does_not_hold_goes_with_no_message() {
    let (ken, per) = two("KEN", "PER");
    let good = per.api().put_attachment("mark", "image/png", b"a photograph");
    let with = |attachment: &Attachment| {
        let body = json!({"peer": ken.node, "opening": trace(std::slice::from_ref(attachment))});
        let answer = per.api().try_send("POST", "/v1/exchanges", &body, Some("x")).expect("it answers");
        assert_eq!(answer.status, 400, "{answer:?}");
        answer.problem().detail
    };
    let absent = Attachment { digest: Hash::ZERO, ..good.clone() };
    assert!(with(&absent).contains("put it in first"), "{}", with(&absent));
    let salted = Attachment { salt: "AAAAAAAAAAAAAAAAAAAAAA".into(), ..good.clone() };
    let longer = Attachment { length: 13, ..good.clone() };
    for other in [salted, longer] {
        assert!(with(&other).contains("enclosed.attachments.0: digest, salt and length"), "{}", with(&other));
    }
    let typed = Attachment { media_type: "image/of a mark".parse().expect("a line"), ..good.clone() };
    assert!(with(&typed).contains("media_type"), "{}", with(&typed));
    assert_eq!(per.api().exchanges().len(), 0, "nothing was sent");

    let long =
        per.api().ask("PUT", "/v1/attachments?name=x", Some(("image/png", &vec![0; (32 << 20) + 1])), None);
    assert_eq!(long.expect("it answers").status, 413);
    let id = per.api().open_exchange(&ken.node, &trace(&[good]), "x").summary.id.to_string();
    assert_eq!(per.api().attachment(&id, &Hash::ZERO.to_string()).0, 404);
}

#[test]
fn a_node_killed_in_the_middle_of_an_attachment_goes_on_where_it_was() {
    let (mut ken, per) = two("KEN", "PER");
    let mut whole = 0;
    let (id, attachment, content, length) = (1..10)
        .find_map(|seed| {
            let content = noise(seed, 30 << 20);
            let attachment = per.api().put_attachment("film", "image/tiff", &content);
            whole = attachment.length + 16;
            let opened = per.api().open_exchange(
                &ken.node,
                &trace(std::slice::from_ref(&attachment)),
                &seed.to_string(),
            );
            let length = wait_for("a part of it", || {
                let length = parts(&ken).first().map_or(0, |(_, length)| *length);
                let is_here = ken.at("data/blobs").join(attachment.digest.to_string()).exists();
                (length > 1 << 20 || is_here).then_some(length)
            });
            ken.kill();
            let at_death = parts(&ken).first().map(|(_, length)| *length);
            match at_death {
                Some(at_death) if at_death < whole => {
                    assert!(at_death >= length);
                    Some((opened.summary.id.to_string(), attachment, content, at_death))
                }
                // It was too fast for us: another.
                _ => {
                    ken.start();
                    None
                }
            }
        })
        .expect("one of ten was caught on its way");
    // What is not whole is not shown as it.
    assert!(!ken.at("data/blobs").join(attachment.digest.to_string()).exists());

    ken.start();
    wait_for_all(ken.api(), &id);
    assert_eq!(ken.api().attachment(&id, &attachment.digest.to_string()), (200, content));
    let told = ken.last_words();
    let resumed_at = told.rsplit_once("resumed_at=").expect("it says where it went on").1;
    let resumed_at: u64 =
        resumed_at.split(|c: char| !c.is_ascii_digit()).next().expect("a number").parse().expect("a number");
    assert_eq!(resumed_at, length - 16, "of {whole}: it did not start over");
}

/// A network with a node's identity, in its place: what a node of other making might do.
struct Impostor {
    runtime: tokio::runtime::Runtime,
    network: Network,
    pieces: mpsc::UnboundedReceiver<Event>,
}

impl Impostor {
    /// In the place of `house`, which does not run; it knows `peer`.
    fn of(house: &House, peer: &House) -> Self {
        let keys = Keys::read(&house.at("keys")).expect("init wrote them");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (mail, mut mails) = mpsc::channel::<Event>(16);
        let (piece, pieces) = mpsc::unbounded_channel();
        let settings = peers::Settings {
            identity: TransportKey::new(keys.transport.key.seed()),
            listen: vec![house.address()],
            max_request: 4 << 20,
            max_response: 64 << 10,
            request_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
        };
        let network = runtime.block_on(peers::start(settings, mail, piece)).expect("its port is free");
        // Mail is let go of unanswered.
        runtime.spawn(async move { while mails.recv().await.is_some() {} });
        let theirs = Keys::read(&peer.at("keys")).expect("init wrote them");
        network.admit(vec![PeerAddress {
            node: peer.node.parse().expect("a node id"),
            peer_ids: vec![peers::peer_id_of(&theirs.transport.key.seed())],
            addrs: vec![peer.address()],
        }]);
        Self { runtime, network, pieces }
    }

    /// What `peer` answers to this frame.
    fn fetch(&mut self, peer: &House, frame: Vec<u8>) -> Result<PieceReply, Failure> {
        self.network.fetch(&peer.node.parse().expect("a node id"), frame);
        let event = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(60), self.pieces.recv()).await });
        match event.expect("in time").expect("it runs") {
            Event::Answered { frame, .. } => Ok(PieceReply::parse(&frame).expect("a reply")),
            Event::Failed { why, .. } => Err(why),
            other => panic!("{other:?}"),
        }
    }

    /// Answer all requests for pieces like this, and count them.
    fn give(
        mut self,
        answer: impl Fn(PieceRequest) -> PieceReply + Send + 'static,
    ) -> (Giver, Arc<AtomicU32>) {
        let given = Arc::new(AtomicU32::new(0));
        let (count, network) = (given.clone(), self.network.clone());
        self.runtime.spawn(async move {
            while let Some(event) = self.pieces.recv().await {
                if let Event::Arrived { frame, reply, .. } = event {
                    let request = PieceRequest::parse(&frame).expect("a node asks as it should");
                    count.fetch_add(1, Ordering::SeqCst);
                    network.respond(reply, answer(request).frame());
                }
            }
        });
        (Giver { runtime: Some(self.runtime), network: self.network }, given)
    }
}

/// An impostor at work.
struct Giver {
    runtime: Option<tokio::runtime::Runtime>,
    network: Network,
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.network.shutdown();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

#[test]
fn a_third_state_and_a_greedy_one_get_nothing() {
    let (ken, mut per) = two("KEN", "PER");
    let mut chl = House::new("CHL");
    chl.start();
    introduce(&ken, &chl);
    let attachment = ken.api().put_attachment("mark", "image/png", &noise(1, 300_000));
    let loose = ken.api().put_attachment("other", "image/png", &noise(2, 1000));
    let opened = ken.api().open_exchange(&per.node, &trace(std::slice::from_ref(&attachment)), "1");
    wait_for_all(per.api(), &opened.summary.id.to_string());
    let ask = |digest: Hash, offset: u64, length: u32| PieceRequest { digest, offset, length }.frame();

    // Chile is a peer, and knows the digest. Neither that nor a guess tells it anything.
    chl.stop();
    let mut impostor = Impostor::of(&chl, &ken);
    for digest in [attachment.digest, loose.digest, Hash::ZERO] {
        assert_eq!(impostor.fetch(&ken, ask(digest, 0, 10)), Ok(PieceReply::NotYours));
    }
    drop(impostor);

    // Peru is its addressee: pieces, and no more than a piece.
    per.stop();
    let mut impostor = Impostor::of(&per, &ken);
    let content = noise(1, 300_000);
    let piece = impostor.fetch(&ken, ask(attachment.digest, 299_990, 10));
    assert_eq!(piece, Ok(PieceReply::Piece(content[299_990..].to_vec())));
    assert_eq!(impostor.fetch(&ken, ask(loose.digest, 0, 10)), Ok(PieceReply::NotYours));
    for (offset, length) in [(299_991, 10), (300_000, 1), (u64::MAX, 1)] {
        assert_eq!(impostor.fetch(&ken, ask(attachment.digest, offset, length)), Ok(PieceReply::Gone));
    }
    for length in [0, MAX_PIECE + 1, u32::MAX] {
        assert_eq!(impostor.fetch(&ken, ask(attachment.digest, 0, length)), Err(Failure::Lost));
    }
    assert_eq!(impostor.fetch(&ken, vec![1; 43]), Err(Failure::Lost));
    let NodeView { node, .. } = ken.api().get("/v1/node");
    assert_eq!(node.as_str(), ken.node, "and it goes on");
}

#[test]
fn what_is_not_what_the_message_names_is_never_taken() {
    let (mut ken, mut per) = two("KEN", "PER");
    ken.stop();
    let content = noise(1, 700_000);
    let attachment = per.api().put_attachment("mark", "image/png", &content);
    let id = per.api().open_exchange(&ken.node, &trace(std::slice::from_ref(&attachment)), "1").summary.id;
    let (id, digest) = (id.to_string(), attachment.digest.to_string());
    // Peru has lost the file: the message comes, and the photograph is pending.
    let file = per.at("data/blobs").join(&digest);
    let aside = per.at("aside");
    fs::rename(&file, &aside).expect("it is there");
    ken.start();
    let pending = wait_for_trouble(ken.api(), &id, "does not hold it any more");
    assert_eq!(pending.attachment, attachment);
    let (status, problem) = ken.api().attachment(&id, &digest);
    assert_eq!(status, 409, "{}", String::from_utf8_lossy(&problem));
    assert!(ken.api().peer(&per.node).trouble.is_some_and(|trouble| trouble.contains(&digest)));
    per.stop();

    let wrong = noise(2, 700_000);
    let lies: [fn(&[u8], PieceRequest) -> PieceReply; 3] = [
        // Bytes of somebody else's choice, as many as were asked for.
        |wrong, asked| PieceReply::Piece(wrong[asked.offset as usize..][..asked.length as usize].to_vec()),
        // More than was asked for, without an end.
        |wrong, asked| PieceReply::Piece(wrong[..(asked.length as usize).min(200_000) + 1].to_vec()),
        // Nothing, for ever.
        |_, _| PieceReply::Piece(Vec::new()),
    ];
    for lie in lies {
        ken.stop();
        let wrong = wrong.clone();
        let (giver, given) = Impostor::of(&per, &ken).give(move |asked| lie(&wrong, asked));
        ken.start();
        wait_for_trouble(ken.api(), &id, "not what its message names, 1 times");
        assert!(given.load(Ordering::SeqCst) > 0);
        assert_eq!(parts(&ken), [], "it is thrown away");
        assert_eq!(ken.api().attachment(&id, &digest).0, 409);
        drop(giver);
    }

    // The true one is taken, from whoever has the right to give it.
    fs::rename(&aside, &file).expect("it is there");
    ken.stop();
    per.start();
    ken.start();
    wait_for_all(ken.api(), &id);
    assert_eq!(ken.api().attachment(&id, &digest), (200, content));
    assert_eq!(ken.api().peer(&per.node).trouble, None);
}
