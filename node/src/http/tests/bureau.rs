//! A node that believes whatever it is told.

use std::collections::BTreeMap;
use std::sync::Mutex;

use liaison_protocol::handling::Recipient;
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::Act;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::*;
use super::{KENYA, PERU};

/// A node that believes whatever it is told.
#[derive(Default)]
pub(super) struct Bureau(pub(super) Mutex<Books>);

#[derive(Default)]
pub(super) struct Books {
    peers: BTreeMap<String, PeerView>,
    exchanges: Vec<ExchangeView>,
    keys: BTreeMap<String, (Hash, usize)>,
    key_sets: String,
    licences: u64,
    attachments: Vec<(Attachment, Vec<u8>)>,
    /// What was ordered, and by whom.
    pub(super) orders: Vec<String>,
    pub(super) asked: Option<Filter>,
    pub(super) asleep: bool,
}

impl Bureau {
    fn answer<T: Send + 'static>(
        &self,
        take: impl FnOnce(&mut Books) -> Result<T, Mistake>,
    ) -> Answer<'_, T> {
        let mut books = self.0.lock().expect("not poisoned");
        if books.asleep {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(take(&mut books)))
    }
}

impl Books {
    fn node(&self) -> NodeView {
        view(json!({
            "node": KENYA, "state": "KEN", "authority": "Firearms Licensing Board",
            "functions": ["ART13_CONTACT"], "fingerprint": "00aa 11bb", "key_set_version": 1,
            "key_set_expires": 1_890_000_000, "key_sets": self.key_sets, "listening": [],
            "log_size": self.orders.len(), "licences": self.licences, "version": "0.1.0",
        }))
    }

    fn peer(&mut self, name: &str) -> Result<&mut PeerView, Mistake> {
        self.peers.get_mut(name).ok_or_else(|| Mistake::Unknown(format!("no peer {name}")))
    }

    fn exchange(&mut self, id: &str) -> Result<&mut ExchangeView, Mistake> {
        let mut found = self.exchanges.iter_mut().filter(|e| e.summary.id.to_string().starts_with(id));
        found.next().ok_or_else(|| Mistake::Unknown(format!("no exchange {id}")))
    }

    fn order(&mut self, who: &OfficerId, what: impl Into<String>) {
        self.orders.push(format!("{who}: {}", what.into()));
    }
}

impl Operator for Bureau {
    fn node(&self) -> Answer<'_, NodeView> {
        self.answer(|books| Ok(books.node()))
    }

    fn install_key_set(&self, who: OfficerId, request: InstallRequest) -> Answer<'_, NodeView> {
        self.answer(|books| {
            books.order(&who, "install");
            books.key_sets = request.key_set;
            Ok(books.node())
        })
    }

    fn peers(&self) -> Answer<'_, Vec<PeerView>> {
        self.answer(|books| Ok(books.peers.values().cloned().collect()))
    }

    fn peer(&self, name: String) -> Answer<'_, PeerView> {
        self.answer(move |books| books.peer(&name).cloned())
    }

    fn admit(&self, who: OfficerId, request: AdmitRequest) -> Answer<'_, PeerView> {
        self.answer(|books| {
            books.order(&who, "admit");
            let peer: PeerView = view(json!({
                "node": request.key_sets.split('\n').next(), "state": "PER", "authority": "SUCAMEC",
                "functions": ["EXPORT_LICENSING"], "contact": {}, "fingerprint": request.fingerprint,
                "key_set_version": 1, "key_set_expires": 1_890_000_000, "standing": "active",
                "admitted": 1_790_000_000, "channel": request.channel, "rules": {}, "connected": false,
                "undelivered": 0, "open_exchanges": 0,
            }));
            books.peers.insert(peer.node.to_string(), peer.clone());
            Ok(peer)
        })
    }

    fn remove(&self, who: OfficerId, name: String, request: RemoveRequest) -> Answer<'_, ()> {
        self.answer(move |books| {
            books.peer(&name)?;
            books.order(&who, format!("remove, {}", request.reason));
            books.peers.remove(&name);
            Ok(())
        })
    }

    fn test(&self, name: String) -> Answer<'_, PeerTestView> {
        self.answer(move |books| {
            books.peer(&name)?;
            Ok(view(json!({"peer": name, "passed": true, "steps": []})))
        })
    }

    fn set_rules(&self, who: OfficerId, name: String, rules: Rules) -> Answer<'_, PeerView> {
        self.answer(move |books| {
            books.order(&who, "rules");
            let peer = books.peer(&name)?;
            peer.rules = rules;
            Ok(peer.clone())
        })
    }

    fn exchanges(&self, filter: Filter) -> Answer<'_, ExchangePage> {
        self.answer(move |books| {
            let mut exchanges: Vec<_> = books.exchanges.iter().rev().map(|e| e.summary.clone()).collect();
            exchanges.retain(|exchange| filter.after.is_none_or(|leaf| exchange.leaf < leaf));
            let more = exchanges.len() > filter.limit;
            exchanges.truncate(filter.limit);
            let next = exchanges.last().filter(|_| more).map(|last| cursor(last.leaf));
            books.asked = Some(filter);
            Ok(ExchangePage { exchanges, next })
        })
    }

    fn exchange(&self, id: String) -> Answer<'_, ExchangeView> {
        self.answer(move |books| books.exchange(&id).cloned())
    }

    fn open(&self, who: OfficerId, key: IdempotencyKey, request: OpenRequest) -> Answer<'_, Opened> {
        self.answer(move |books| {
            let leaf = books.exchanges.len();
            match books.keys.get(key.key.as_str()) {
                Some((digest, _)) if *digest != key.digest => return Err(Mistake::KeyReused),
                Some((_, at)) => return Ok(Opened { view: books.exchanges[*at].clone(), new: false }),
                None => books.keys.insert(key.key.to_string(), (key.digest, leaf)),
            };
            books.order(request.officer.as_ref().unwrap_or(&who), "open");
            let exchange: ExchangeView = view(json!({
                "id": Hash::of(&leaf.to_be_bytes()), "kind": "licence-verification-request",
                "peer": request.peer, "side": "requesting", "state": "requested",
                "subject": request.opening.question.body().subject().map(|subject| subject.to_string()), "for_officer": false,
                "opened": 1_790_000_000, "updated": 1_790_000_000, "leaf": leaf,
                "acts": ["withdraw"], "timeline": [],
            }));
            books.exchanges.push(exchange.clone());
            Ok(Opened { view: exchange, new: true })
        })
    }

    fn act(
        &self,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        id: String,
        request: ActRequest,
    ) -> Answer<'_, ExchangeView> {
        self.answer(move |books| {
            if let Some(IdempotencyKey { key, digest }) = key
                && books.keys.insert(key.to_string(), (digest, 0)).is_some_and(|(held, _)| held != digest)
            {
                return Err(Mistake::KeyReused);
            }
            let exchange = books.exchange(&id)?;
            if !matches!(request.act, Act::Withdraw { .. }) {
                return Err(Mistake::Forbidden("only the requested State answers".into()));
            }
            exchange.summary.state = State::Withdrawn;
            let exchange = exchange.clone();
            books.order(&who, "withdraw");
            Ok(exchange)
        })
    }

    fn put_attachment(&self, who: OfficerId, upload: Upload) -> Answer<'_, Attachment> {
        self.answer(move |books| {
            books.order(&who, "attach");
            let attachment = Attachment {
                digest: Hash::of(&upload.content),
                salt: "AAAAAAAAAAAAAAAAAAAAAA".into(),
                length: upload.content.len() as u64,
                media_type: upload.media_type,
                name: upload.name,
                view: upload.view.map(liaison_protocol::handling::Coded::Known),
            };
            books.attachments.push((attachment.clone(), upload.content));
            Ok(attachment)
        })
    }

    fn attachment(&self, exchange: String, digest: String) -> Answer<'_, Content> {
        self.answer(move |books| {
            books.exchange(&exchange)?;
            let found = books.attachments.iter().find(|(held, _)| held.digest.to_string() == digest);
            let (attachment, content) = found.cloned().ok_or_else(|| Mistake::Unknown("no such".into()))?;
            if content == b"pending" {
                return Err(Mistake::Forbidden("pending".into()));
            }
            let read = move |offset: u64, length: u32| {
                let rest = &content[offset as usize..];
                Ok(rest[..rest.len().min(length as usize)].to_vec())
            };
            Ok(Content { attachment, read: Arc::new(read) })
        })
    }

    fn import_firearms(&self, who: OfficerId, csv: Vec<u8>) -> Answer<'_, FirearmsView> {
        self.answer(move |books| {
            books.order(&who, "import firearms");
            Ok(FirearmsView { firearms: csv.iter().filter(|byte| **byte == b'\n').count() as u64 })
        })
    }

    fn cases(&self) -> Answer<'_, Vec<CaseView>> {
        self.answer(|_| Ok(Vec::new()))
    }

    fn case(&self, trace_case: Line) -> Answer<'_, CaseView> {
        self.answer(move |_| Err(Mistake::Unknown(format!("no trace case {trace_case}"))))
    }

    fn conclude(&self, _: OfficerId, trace_case: Line, _: TraceOutcome) -> Answer<'_, CaseView> {
        self.case(trace_case)
    }

    fn evidence(&self, who: OfficerId, id: String, request: EvidenceRequest) -> Answer<'_, Archive> {
        self.answer(move |books| {
            let exchange = books.exchange(&id)?.summary.id;
            books.order(&who, format!("evidence for {}", request.recipient));
            match request.recipient {
                Recipient::State(_) => Err(Mistake::Withheld("not for that State".into())),
                _ => Ok(Archive { exchange, content: b"the archive".to_vec(), place: Box::new(()) }),
            }
        })
    }

    fn import_licences(&self, who: OfficerId, csv: Vec<u8>) -> Answer<'_, ImportView> {
        self.answer(move |books| {
            books.order(&who, "import");
            books.licences = csv.iter().filter(|byte| **byte == b'\n').count() as u64;
            Ok(ImportView { licences: books.licences, notices: 0 })
        })
    }

    fn checkpoint(&self) -> Answer<'_, CheckpointView> {
        self.answer(|_| Err(Mistake::NotReady("the key file is not readable".into())))
    }

    fn inclusion(&self, leaf: u64) -> Answer<'_, InclusionView> {
        self.answer(move |_| Ok(InclusionView { entry: format!("entry {leaf}"), proof: String::new() }))
    }

    fn consistency(&self, from: u64, to: u64) -> Answer<'_, ConsistencyView> {
        self.answer(move |_| Ok(ConsistencyView { from, to, proof: vec![Hash::ZERO] }))
    }

    fn events(&self, after: Option<u64>) -> Answer<'_, Following> {
        use futures::StreamExt;
        let exchange = move |leaf: u64| {
            view(json!({
                "event": "exchange", "leaf": leaf, "exchange": Hash::of(&leaf.to_be_bytes()), "peer": PERU,
                "kind": "licence-verification-request", "side": "requesting", "state": "requested",
                "for_officer": false,
            }))
        };
        let first = after.map_or(0, |after| after + 1);
        let stays = futures::stream::pending();
        self.answer(move |_| match after {
            // More than any reader takes.
            Some(99) => Ok(futures::stream::iter(0..1_000_000).map(exchange).boxed()),
            _ => Ok(futures::stream::iter(first..first + 2).map(exchange).chain(stays).boxed()),
        })
    }

    fn observe(&self) -> Answer<'_, ()> {
        self.answer(|_| Ok(()))
    }

    fn ready(&self) -> Answer<'_, ReadyView> {
        let ready = !self.0.lock().expect("not poisoned").asleep;
        Box::pin(std::future::ready(Ok(ReadyView { ready, why: (!ready).then(|| "asleep".into()) })))
    }
}

pub(super) fn view<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("a view")
}
