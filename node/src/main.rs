//! The program `liaison-node`: makes a State's node, checks it, runs it.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use liaison_node::config::{Config, Format, Trace};
use liaison_node::demo;
use liaison_node::init::{self, Birth, CONFIG, Renewal, Service};
use liaison_node::serve;
use liaison_node::system;
use liaison_protocol::authority::{Function, Line, NodeId, OfficerId, StateCode, Timestamp};
use tracing_subscriber::EnvFilter;

/// A State's node for exchanging trace requests, licence verifications and transit confirmations directly with its
/// peers (Firearms Protocol, Arts 10, 12, 13).
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the configuration, keys, tokens, log and index, and say what is wrong and what to do.
    Check {
        /// The configuration file.
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
    },
    /// Print a documented example of the configuration file.
    Config,
    /// Play an export and a trace among five States, on loopback sockets and real files, and tell it as it goes.
    Demo {
        /// Where the nodes live; a temporary folder, removed at the end, if absent.
        #[arg(long)]
        folder: Option<PathBuf>,
        /// Leave the nodes running, and say how to go on by hand.
        #[arg(long)]
        keep: bool,
    },
    /// Make a new node: keys, key set, log, certificate, token, configuration.
    Init {
        /// The node's folder: empty or absent.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
        /// Folder for the root keys, kept apart: best a removable medium. Default: `<folder>-root`.
        #[arg(long)]
        roots: Option<PathBuf>,
        /// Name of the node: `<authority-domain>/liaison`. Fixed for ever.
        #[arg(long)]
        node: NodeId,
        /// The State, by its ISO 3166-1 alpha-3 code.
        #[arg(long)]
        state: StateCode,
        /// The authority's official name.
        #[arg(long)]
        authority: Line,
        /// What the authority may do, separated by commas.
        #[arg(long, value_delimiter = ',', value_parser = function, default_value = "ART13_CONTACT")]
        functions: Vec<Function>,
        /// Where to listen for peers; given again, at more than one: `/ip4/0.0.0.0/udp/4710/quic-v1` is QUIC.
        #[arg(long, default_value = "/ip4/0.0.0.0/tcp/4710")]
        listen: Vec<String>,
        /// Where peers reach the node: `/dns4/liaison.example.ke/tcp/4710`. None for a node that only dials.
        #[arg(long)]
        address: Vec<String>,
        /// Where to listen for operators.
        #[arg(long, default_value = "127.0.0.1:4711")]
        api: SocketAddr,
    },
    /// Work on our own key set.
    #[command(subcommand)]
    KeySet(KeySetCommand),
    /// After a restore: two officers vouch that the data folder is the newest copy, so that the node signs again.
    Vouch {
        /// The configuration file.
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
        /// The two officers, by their pseudonyms: given twice.
        #[arg(long, required = true)]
        officer: Vec<OfficerId>,
        /// Why they are sure: what was compared with whom.
        #[arg(long)]
        reason: Line,
    },
    /// Run the node.
    Run {
        /// The configuration file.
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
    },
    /// Make a bearer token for an officer or a system; in force from the node's next start.
    Token {
        /// Who will hold it: a pseudonym of letters, digits, `.`, `_` and `-`.
        holder: OfficerId,
        /// The configuration file.
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum KeySetCommand {
    /// Sign the next version, renewed for 13 months, and write it to a file to be put in force with
    /// `liaison node install-key-set`.
    Renew {
        /// The configuration file.
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
        /// Folder of the root keys.
        #[arg(long)]
        roots: PathBuf,
        /// Where peers reach the node from now on; as before, if absent.
        #[arg(long)]
        address: Vec<String>,
        /// Make a new message key, which takes over; the old one stays good for 30 days, for mail under way.
        #[arg(long)]
        rotate: bool,
        /// A message key that must not be believed from now on: `msg-1`. Give `--rotate` with it, or nothing can be sent.
        #[arg(long, requires = "reason")]
        revoke: Option<String>,
        /// Since when the key is not to be believed, such as 2026-11-24T08:30:00Z: when it was stolen. Now, if absent. What
        /// was sealed under it since then counts no more, on either side.
        #[arg(long, requires = "revoke", value_parser = moment)]
        revoke_from: Option<Timestamp>,
        /// Why it is revoked.
        #[arg(long)]
        reason: Option<Line>,
        /// A file with `[calendar]` and `[[targets]]`: when the authority works, and how soon it answers.
        #[arg(long)]
        service: Option<PathBuf>,
        /// Where to write the signed version.
        #[arg(long)]
        out: PathBuf,
    },
}

fn function(text: &str) -> Result<Function, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// A moment of the past.
fn moment(text: &str) -> Result<Timestamp, String> {
    let moment: jiff::Timestamp = text.parse().map_err(|_| "write it as 2026-11-24T08:30:00Z".to_owned())?;
    let moment = u64::try_from(moment.as_second()).map_err(|_| "before 1970".to_owned())?;
    if moment > serve::clock().0 {
        return Err("that is still to come: a key is revoked from a time that has passed".to_owned());
    }
    Ok(Timestamp(moment))
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Check { config } => check(&config),
        Command::Config => {
            print!("{}", Config::example().write());
            Ok(())
        }
        Command::Demo { folder, keep } => {
            refuse_key_log().and_then(|()| Ok(demo::play(&demo::Wishes { folder, keep })?))
        }
        Command::Init { folder, roots, node, state, authority, functions, listen, address, api } => {
            let roots = roots.unwrap_or_else(|| beside(&folder));
            let birth =
                Birth { folder, roots, node, state, authority, functions, listen, addrs: address, api };
            make(&birth)
        }
        Command::KeySet(KeySetCommand::Renew {
            config,
            roots,
            address,
            rotate,
            revoke,
            revoke_from,
            reason,
            service,
            out,
        }) => read_service(service.as_deref()).and_then(|service| {
            let addrs = Some(address).filter(|address| !address.is_empty());
            renew(
                &config,
                &roots,
                Renewal {
                    addrs,
                    rotate,
                    revoke: revoke.zip(reason).map(|(kid, reason)| (kid, revoke_from, reason)),
                    service,
                },
                &out,
            )
        }),
        Command::Run { config } => run(&config),
        Command::Vouch { config, officer, reason } => vouch(&config, officer, reason),
        Command::Token { holder, config } => token(&config, &holder),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("liaison-node: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn beside(folder: &Path) -> PathBuf {
    let full = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
    let mut name = full.file_name().unwrap_or_default().to_owned();
    name.push("-root");
    full.with_file_name(name)
}

fn make(birth: &Birth) -> Outcome {
    let fingerprint = init::make(birth, serve::clock())?;
    let (folder, roots) = (birth.folder.display(), birth.roots.display());
    println!("The node {} of {} is made in {folder}.\n", birth.node, birth.state);
    println!(
        "Root fingerprint, to be read out to your peers over a channel they trust:\n\n    {fingerprint}\n"
    );
    println!("Root keys:        {roots}");
    println!("                  They sign key sets only. Move them off this machine now, and keep a copy.");
    println!("Configuration:    {folder}/{CONFIG}");
    println!("For your peers:   {folder}/data/{}", init::KEY_SETS);
    println!("For operators:    liaison --profile {folder}/operator node");
    println!("\nNext:             liaison-node run --config {folder}/{CONFIG}");
    Ok(())
}

fn check(path: &Path) -> Outcome {
    refuse_key_log()?;
    let found = serve::prepare(Config::read(path)?)?.check()?;
    for line in found {
        println!("{line}");
    }
    println!("{}: all is well", path.display());
    Ok(())
}

fn vouch(path: &Path, officers: Vec<OfficerId>, reason: Line) -> Outcome {
    let officers: [OfficerId; 2] =
        officers.try_into().map_err(|_| "--officer is given twice: two officers vouch")?;
    if officers[0] == officers[1] {
        return Err("two different officers vouch".into());
    }
    let size = serve::prepare(Config::read(path)?)?.vouch(officers, reason)?;
    println!("Recorded. The log has {size} entries, and is signed again from the next start.");
    Ok(())
}

fn read_service(path: Option<&Path>) -> Result<Option<Service>, Box<dyn std::error::Error>> {
    let Some(path) = path else { return Ok(None) };
    let at = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(error.to_string()))?;
    Ok(Some(toml::from_str(&text).map_err(|error| at(error.to_string()))?))
}

fn renew(config: &Path, roots: &Path, renewal: Renewal, out: &Path) -> Outcome {
    let rotate = renewal.rotate;
    if out.exists() {
        return Err(format!("{}: exists already; nothing was signed", out.display()).into());
    }
    let signed = init::renew(&Config::read(config)?, roots, renewal, serve::clock())?;
    let mut file = std::fs::File::create_new(out).map_err(|error| format!("{}: {error}", out.display()))?;
    writeln!(file, "{}", signed.json())?;
    println!("Version {} is signed, good until {}.", signed.set().version, signed.set().expires);
    if rotate {
        println!("First:            start the node again, so that it has the new key");
    }
    println!("Put it in force:  liaison node install-key-set {}", out.display());
    Ok(())
}

fn token(config: &Path, holder: &OfficerId) -> Outcome {
    let path = init::make_token(&Config::read(config)?.api.tokens, holder)?;
    println!("{}\nIt is in force from the node's next start.", path.display());
    Ok(())
}

/// libp2p's TLS would write session secrets into the file this variable names.
fn refuse_key_log() -> Outcome {
    match std::env::var_os("SSLKEYLOGFILE") {
        Some(_) => {
            Err("SSLKEYLOGFILE is set: session secrets would be written to a file. Unset it and start again"
                .into())
        }
        None => Ok(()),
    }
}

fn run(path: &Path) -> Outcome {
    refuse_key_log()?;
    let config = Config::read(path)?;
    trace(&config.trace)?;
    system::raise_file_limit();
    system::forbid_core_dumps()
        .map_err(|error| format!("cannot forbid core dumps, which would carry keys to a disk: {error}"))?;
    let (node, data) = (config.node.clone(), config.data.clone());
    let prepared = serve::prepare(config)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let running = serve::start(prepared).await?;
        tracing::info!(%node, api = %running.api, listening = ?running.listening, "the node is up");
        // The log names its files from the data folder on.
        let ended = running.until(told_to_stop()).await;
        ended.map_err(|error| format!("{error} (data folder: {})", data.display()))?;
        tracing::info!(%node, "the node has stopped");
        Ok(())
    })
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the system has signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn trace(settings: &Trace) -> Outcome {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| format!("trace.filter: {error}"))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        Format::Json => subscriber.json().init(),
        Format::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}
