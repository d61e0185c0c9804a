//! The command `liaison`: what officers and scripts type to use their authority's node.
//!
//! It talks to the node over its HTTP API, and verifies logs with no node at all. Commands return what is to
//! be said as a value; only this file prints it and ends the process.

mod args;
mod client;
mod commands;
mod profile;
mod render;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use liaison_protocol::qr;

use crate::args::Args;
use crate::commands::Reply;

fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.json;
    match commands::run(args, &mut |reply| say(reply, json))
        .and_then(|reply| Ok((print(&reply, json)?, reply)))
    {
        Ok(((), reply)) if reply.yes => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("liaison: {}", render::plain(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Say one of many, on a line of its own. Returns whether somebody still listens.
fn say(reply: &Reply, json: bool) -> bool {
    let mut out = io::stdout().lock();
    let line = if json { reply.json.to_string() } else { render::plain(reply.text.trim_end()) };
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Say it. With `--json` only the JSON goes to standard output, and nothing to anyone else.
fn print(reply: &Reply, json: bool) -> Result<(), commands::Error> {
    let mut out = io::stdout().lock();
    let printed = if json && reply.json.is_null() && reply.text.is_empty() {
        Ok(())
    } else if json {
        writeln!(out, "{:#}", reply.json)
    } else {
        if let Some(aside) = &reply.aside {
            eprintln!("{}", render::plain(aside).trim_end());
        }
        let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let verdict = reply.verdict.as_ref().map(|word| render::banner(word, reply.yes, coloured));
        let qr = reply.qr.as_ref().map(|fingerprint| format!("\n{}", qr::draw(fingerprint, coloured)));
        write!(out, "{}{}{}", render::plain(&reply.text), verdict.unwrap_or_default(), qr.unwrap_or_default())
    };
    match printed.and_then(|()| out.flush()) {
        // Whoever reads us has seen enough: `liaison exchange list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|why| commands::Error::File { path: "standard output".into(), why }),
    }
}
