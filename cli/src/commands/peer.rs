//! `liaison peer`: who may write to us, and what they are answered automatically.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use liaison_protocol::authority::{Line, OfficerId};
use liaison_protocol::key_set::{Fingerprint, KeyChain};
use liaison_protocol::operator::{AdmitRequest, PeerTestView, PeerView, RemoveRequest};

use super::{Error, Reply, read_text};
use crate::args::{Peer, PeerCommand};
use crate::client::{Answered, Client, Method, Segment};
use crate::render;

pub(super) fn run(client: &Client, command: PeerCommand) -> Result<Reply, Error> {
    match command {
        PeerCommand::Add { file, fingerprint, channel, officer } => {
            add(client, &file, fingerprint, channel, officer)
        }
        PeerCommand::Answer { peer, verifications, authenticity, traces, attempts } => {
            let path = path(&peer);
            let mut rules = client.get::<PeerView>(&path, &[])?.view.rules;
            rules.verifications = verifications.map_or(rules.verifications, |switch| switch.is_on());
            rules.authenticity = authenticity.map_or(rules.authenticity, |switch| switch.is_on());
            rules.traces = traces.map_or(rules.traces, |switch| switch.is_on());
            rules.attempts_per_licence = attempts.unwrap_or(rules.attempts_per_licence);
            Ok(Reply::of(client.send(Method::Put, &format!("{path}/rules"), &rules, None)?, render::peer))
        }
        PeerCommand::List => {
            Ok(Reply::of(client.get("/v1/peers", &[])?, |peers: &Vec<_>| render::peers(peers)))
        }
        PeerCommand::Remove { peer, reason } => {
            let gone: Answered<()> =
                client.send(Method::Delete, &path(&peer), &RemoveRequest { reason }, None)?;
            Ok(Reply::of(gone, |()| format!("{} is removed: it can deliver nothing any more\n", peer.0)))
        }
        PeerCommand::Test { peer } => {
            let tested: Answered<PeerTestView> =
                client.send(Method::Post, &format!("{}/test", path(&peer)), &(), None)?;
            let yes = tested.view.passed;
            let verdict = render::peer_verdict(&tested.view);
            Ok(Reply { verdict: Some(verdict), yes, ..Reply::of(tested, render::peer_test) })
        }
        PeerCommand::Show { peer, qr } => {
            let shown: Answered<PeerView> = client.get(&path(&peer), &[])?;
            let fingerprint = shown.view.fingerprint.clone();
            Ok(Reply::of(shown, render::peer).with_qr(qr, &fingerprint))
        }
    }
}

fn path(peer: &Peer) -> String {
    format!("/v1/peers/{}", Segment(&peer.0))
}

fn add(
    client: &Client,
    file: &Path,
    fingerprint: Option<Fingerprint>,
    channel: Line,
    officer: Option<OfficerId>,
) -> Result<Reply, Error> {
    let key_sets = read_text(file)?;
    let chain = KeyChain::parse(&key_sets)
        .map_err(|flaw| Error::Unusable(format!("{} is no key set file: {flaw}", file.display())))?;
    let told = match fingerprint {
        Some(told) => told,
        None if io::stdin().is_terminal() => {
            eprintln!("{}", render::plain(&render::candidate(&chain)));
            eprint!("The fingerprint as the other authority told it, not as it stands above:\n> ");
            let mut typed = String::new();
            let read = io::stdin().lock().read_line(&mut typed);
            read.map_err(|why| Error::File { path: "standard input".into(), why })?;
            typed.parse().map_err(|bad| Error::Unusable(format!("{bad}; nothing was admitted")))?
        }
        None => {
            return Err(Error::Unusable(
                "the fingerprint is missing: ask the other authority for it by telephone, note verbale or in \
                 person, and give it with --fingerprint. The file's own proves nothing"
                    .to_owned(),
            ));
        }
    };
    compare(&told, &chain)?;
    let request = AdmitRequest { key_sets, fingerprint: told.to_string(), channel, officer };
    Ok(Reply::of(client.send(Method::Post, "/v1/peers", &request, None)?, render::peer))
}

fn compare(told: &Fingerprint, chain: &KeyChain) -> Result<(), Error> {
    let found = chain.fingerprint();
    if *told == found {
        return Ok(());
    }
    Err(Error::No(format!(
        "the fingerprints differ: the file is not the one the other authority speaks of, and was not admitted\n  \
         told  {told}\n  file  {found}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::{node, plain};

    #[test]
    fn rules_that_are_not_named_stay_as_they_are() {
        let view = serde_json::to_string(&render::tests::peer_view()).expect("serialises");
        let (client, node) = node(vec![("200 OK", view.clone()), ("200 OK", view)]);
        let peer = Peer("firearms.example.ke/liaison".to_owned());
        let command = PeerCommand::Answer {
            peer,
            verifications: None,
            authenticity: Some(crate::args::Switch::On),
            traces: Some(crate::args::Switch::On),
            attempts: None,
        };
        run(&client, command).expect("the node takes it");
        let asked = node.join().expect("the node ends");
        assert!(asked[1].starts_with("PUT /v1/peers/firearms.example.ke%2Fliaison/rules "), "{}", asked[1]);
        let rules =
            "{\"verifications\":true,\"authenticity\":true,\"traces\":true,\"attempts_per_licence\":20}";
        assert!(asked[1].ends_with(rules), "{}", asked[1]);
    }

    #[test]
    fn a_file_is_never_believed_for_what_it_says_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kenya");
        let nobody = plain("http://127.0.0.1:1");
        let add = |told: Option<Fingerprint>| {
            let channel = "telephone".parse().expect("a line");
            let error = add(&nobody, &file, told, channel, None).expect_err("nothing is admitted");
            (error.exit_code(), error.to_string())
        };
        let chain = render::tests::chain();
        std::fs::write(&file, chain.file()).expect("a new file");
        // Tests have no terminal to ask at.
        if !io::stdin().is_terminal() {
            assert!(add(None).1.starts_with("the fingerprint is missing: ask the other authority"));
        }
        let other: Fingerprint = "ab".repeat(32).parse().expect("64 digits");
        let (code, text) = add(Some(other));
        assert!(code == 1 && text.contains("the fingerprints differ"), "{text}");
        assert!(text.contains(&chain.fingerprint().to_string()) && text.contains(&other.to_string()));
        // The right one gets as far as the node.
        assert!(add(Some(chain.fingerprint())).1.starts_with("no node answers at "));
        std::fs::write(&file, "{}").expect("the file");
        assert!(add(Some(other)).1.contains("kenya is no key set file: "));
    }
}
