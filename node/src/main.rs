//! The program `liaison-node`: makes a State's node, checks it, runs it.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args as ArgGroup, CommandFactory, Parser, Subcommand};
use liaison_manual::Manual;
use liaison_node::config::{Config, ConfigError, Format, Trace};
use liaison_node::demo;
use liaison_node::init::{self, Birth, CONFIG, Renewal, Service};
use liaison_node::serve::{self, RunError};
use liaison_node::supervisor;
use liaison_node::system;
use liaison_protocol::authority::{Function, Line, NodeId, OfficerId, StateCode, Timestamp};
use liaison_protocol::key_set::Contact;
use liaison_protocol::qr;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Make, check and run a State's node
///
/// A node exchanges trace requests, licence verifications and transit confirmations directly with its peers (Firearms
/// Protocol, Arts 10, 12, 13). What officers do with it they do with the command liaison.
///
/// Exit codes: 0 done, 1 not done, 2 mistyped, 78 not done and of no use to try again before somebody has put the
/// configuration, a key, a token or the data folder right.
#[derive(Parser)]
#[command(name = "liaison-node", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Where a package of the system keeps its node.
const INSTALLED: &str = "/var/lib/liaison";
/// Exit code where trying again does not help: EX_CONFIG of sysexits(3). The service unit knows it.
const NEEDS_A_PERSON: u8 = 78;

#[derive(Subcommand)]
enum Command {
    /// Make the certificate of the operators' door anew, for two years; in force from the node's next start
    ///
    /// It is for this machine's own names, localhost; a door that other machines reach needs one from an authority that they
    /// trust. The certificate and the key before it stay beside them, with the moment behind their names. Whoever has a copy
    /// of the old certificate in a profile needs the new one.
    Certificate {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Check the configuration, keys, tokens, log and index of a node that is stopped, and say what to do
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print a documented example of the configuration file
    Config,
    /// Play an export and a trace among five States, on loopback sockets and real files, and tell it as it goes
    Demo {
        /// Where the nodes live; a temporary folder, removed at the end, if absent
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// Leave the nodes running, and say how to go on by hand
        #[arg(long)]
        keep: bool,
    },
    /// Make a new node: keys, key set, log, certificate, token, configuration
    ///
    /// What root makes in a folder of another user is that user's, but for the root keys.
    #[command(after_long_help = INIT)]
    Init {
        /// The node's folder: empty or absent
        #[arg(long, default_value = ".")]
        folder: PathBuf,
        /// Folder for the root keys, kept apart: best a removable medium [default: FOLDER-root]
        #[arg(long, value_name = "FOLDER")]
        roots: Option<PathBuf>,
        /// Name of the node: AUTHORITY-DOMAIN/liaison. Fixed for ever
        #[arg(long)]
        node: NodeId,
        /// The State, by its ISO 3166-1 alpha-3 code
        #[arg(long)]
        state: StateCode,
        /// The authority's official name
        #[arg(long, value_name = "NAME")]
        authority: Line,
        /// What the authority may do, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = function, default_value = "ART13_CONTACT")]
        functions: Vec<Function>,
        #[command(flatten)]
        contact: ContactPoint,
        /// Where to listen for peers; given again, at more than one: /ip4/0.0.0.0/udp/4710/quic-v1 is QUIC
        #[arg(long, value_name = "MULTIADDRESS", default_value = "/ip4/0.0.0.0/tcp/4710")]
        listen: Vec<String>,
        /// Where peers reach the node: /dns4/liaison.example.ke/tcp/4710. None for a node that only dials
        #[arg(long, value_name = "MULTIADDRESS")]
        address: Vec<String>,
        /// Where to listen for operators
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4711")]
        api: SocketAddr,
        /// Show the fingerprint as a QR code, too
        #[arg(long)]
        qr: bool,
    },
    /// Work on our own key set
    #[command(subcommand)]
    KeySet(KeySetCommand),
    /// Write the man pages and shell completions of this program below FOLDER, such as ~/.local/share
    Manual {
        /// Where `man` and shells look: `man/man8` and others are made in it
        folder: PathBuf,
    },
    /// Run the node
    Run {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Make a bearer token for an officer or a system; in force from the node's next start
    #[command(after_long_help = TOKEN)]
    Token {
        /// Who will hold it: a pseudonym of letters, digits, `.`, `_` and `-`
        holder: OfficerId,
        #[command(flatten)]
        config: ConfigFile,
        /// Write a profile of the command liaison to this new folder, with all it takes, to be handed to the holder
        #[arg(long, value_name = "FOLDER")]
        profile: Option<PathBuf>,
    },
    /// After a restore: two officers vouch that the data folder is the newest copy, so that the node signs again
    #[command(after_long_help = VOUCH)]
    Vouch {
        #[command(flatten)]
        config: ConfigFile,
        /// The two officers, by their pseudonyms: given twice
        #[arg(long, required = true)]
        officer: Vec<OfficerId>,
        /// Why they are sure: what was compared with whom
        #[arg(long)]
        reason: Line,
    },
}

#[derive(ArgGroup)]
struct ConfigFile {
    /// The configuration file [default: ./liaison.toml, then /var/lib/liaison/liaison.toml]
    #[arg(long = "config", value_name = "FILE")]
    named: Option<PathBuf>,
}

impl ConfigFile {
    fn path(self) -> PathBuf {
        self.named.unwrap_or_else(|| {
            let installed = Path::new(INSTALLED).join(CONFIG);
            // Where neither is, the one here is named in what is said.
            if !Path::new(CONFIG).exists() && installed.exists() { installed } else { CONFIG.into() }
        })
    }
}

#[derive(ArgGroup)]
struct ContactPoint {
    /// Telephone number that peers call; given again, more than one, up to 4. A renewal without keeps what was
    #[arg(long, value_name = "NUMBER")]
    phone: Vec<Line>,
    /// E-mail address that peers write to; given again, more than one, up to 4. A renewal without keeps what was
    #[arg(long, value_name = "ADDRESS")]
    email: Vec<Line>,
}

impl From<ContactPoint> for Contact {
    fn from(ContactPoint { phone, email }: ContactPoint) -> Self {
        Self { phones: phone, emails: email }
    }
}

#[derive(Subcommand)]
enum KeySetCommand {
    /// Sign the next version of our key set, renewed for 13 months
    ///
    /// It is written to a file, to be put in force with `liaison node install-key-set`.
    #[command(after_long_help = RENEW)]
    Renew {
        #[command(flatten)]
        config: ConfigFile,
        /// Folder of the root keys
        #[arg(long, value_name = "FOLDER")]
        roots: PathBuf,
        /// Where peers reach the node from now on; as before, if absent
        #[arg(long, value_name = "MULTIADDRESS")]
        address: Vec<String>,
        #[command(flatten)]
        contact: ContactPoint,
        /// Make a new message key, which takes over; the old one stays good for 30 days, for mail under way
        #[arg(long)]
        rotate: bool,
        /// A message key that must not be believed from now on: msg-1. Give --rotate with it, or nothing can be sent
        #[arg(long, value_name = "KEY", requires = "reason")]
        revoke: Option<String>,
        /// Since when the key is not to be believed, such as 2026-11-24T08:30:00Z: when it was stolen. Now, if absent. What
        /// was sealed under it since then counts no more, on either side
        #[arg(long, value_name = "TIME", requires = "revoke", value_parser = moment)]
        revoke_from: Option<Timestamp>,
        /// Why it is revoked
        #[arg(long)]
        reason: Option<Line>,
        /// A file with `[calendar]` and `[[targets]]`: when the authority works, and how soon it answers
        #[arg(long, value_name = "FILE")]
        service: Option<PathBuf>,
        /// Where to write the signed version: a new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

const INIT: &str = r#"Examples:
  liaison-node init --folder /var/lib/liaison --roots /media/roots/liaison \
      --node firearms.example.ke/liaison --state KEN --authority "Firearms Licensing Board" \
      --functions ART13_CONTACT,TRACING_CENTRE,IMPORT_LICENSING --phone "+254 20 555 0100" \
      --address /dns4/liaison.example.ke/tcp/4710"#;
const RENEW: &str = r#"Examples:
  # Each year, or to change where peers reach us:
  liaison-node key-set renew --roots /media/roots/liaison --out key-set-2
  # A message key was stolen this morning:
  liaison-node key-set renew --roots /media/roots/liaison --out key-set-3 --rotate \
      --revoke msg-1 --revoke-from 2026-11-24T08:30:00Z --reason "laptop stolen"
  systemctl restart liaison-node
  liaison node install-key-set key-set-3"#;
const TOKEN: &str = r#"Examples:
  liaison-node token customs-system
  liaison-node token okello --profile /home/okello/.config/liaison
  systemctl restart liaison-node"#;
const VOUCH: &str = r#"Examples:
  liaison-node vouch --officer okello --officer wanjiru \
      --reason "disk moved to a new machine; size compared with Peru and Uganda by telephone""#;

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

/// Say a line. Whoever stopped reading missed it: what was done is done.
macro_rules! say {
    ($($said:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($said)*);
    };
}

fn main() -> ExitCode {
    let command = Args::parse().command;
    let result = forbid_core_dumps().and_then(|()| obey(command));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("liaison-node: {error}");
            let of_the_run = error.downcast_ref::<RunError>().is_some_and(RunError::needs_a_person);
            let needs_a_person = of_the_run || error.is::<ConfigError>();
            if needs_a_person { ExitCode::from(NEEDS_A_PERSON) } else { ExitCode::FAILURE }
        }
    }
}

/// Every command may hold keys.
fn forbid_core_dumps() -> Outcome {
    system::forbid_core_dumps().map_err(|error| {
        format!("cannot forbid core dumps, which would carry keys to a disk: {error}").into()
    })
}

fn obey(command: Command) -> Outcome {
    match command {
        Command::Certificate { config } => certificate(&config.path()),
        Command::Check { config } => check(&config.path()),
        Command::Config => {
            say!("{}", Config::example().write().trim_end());
            Ok(())
        }
        Command::Demo { folder, keep } => {
            refuse_key_log().and_then(|()| Ok(demo::play(&demo::Wishes { folder, keep })?))
        }
        Command::Init {
            folder,
            roots,
            node,
            state,
            authority,
            functions,
            contact,
            listen,
            address,
            api,
            qr,
        } => {
            let roots = roots.unwrap_or_else(|| beside(&folder));
            let birth = Birth {
                folder,
                roots,
                node,
                state,
                authority,
                functions,
                contact: contact.into(),
                listen,
                addrs: address,
                api,
            };
            make(&birth, qr)
        }
        Command::KeySet(KeySetCommand::Renew {
            config,
            roots,
            address,
            contact,
            rotate,
            revoke,
            revoke_from,
            reason,
            service,
            out,
        }) => read_service(service.as_deref()).and_then(|service| {
            let addrs = Some(address).filter(|address| !address.is_empty());
            renew(
                &config.path(),
                &roots,
                Renewal {
                    addrs,
                    contact: contact.into(),
                    rotate,
                    revoke: revoke.zip(reason).map(|(kid, reason)| (kid, revoke_from, reason)),
                    service,
                },
                &out,
            )
        }),
        Command::Manual { folder } => Manual { section: "8", also: "liaison(1)" }
            .write(Args::command(), &folder)
            .map_err(|error| format!("{}: {error}", folder.display()).into()),
        Command::Run { config } => run(&config.path()),
        Command::Token { holder, config, profile } => token(&config.path(), &holder, profile.as_deref()),
        Command::Vouch { config, officer, reason } => vouch(&config.path(), officer, reason),
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn beside(folder: &Path) -> PathBuf {
    let full = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
    let mut name = full.file_name().unwrap_or_default().to_owned();
    name.push("-root");
    full.with_file_name(name)
}

fn make(birth: &Birth, qr: bool) -> Outcome {
    let fingerprint = init::make(birth, serve::clock())?;
    let (folder, roots) = (birth.folder.display(), birth.roots.display());
    say!("The node {} of {} is made in {folder}.\n", birth.node, birth.state);
    say!("Root fingerprint, to be read out to your peers over a channel they trust:\n\n    {fingerprint}\n");
    if qr {
        say!("{}", qr::draw(&fingerprint, std::io::stdout().is_terminal()));
    }
    say!("Root keys:        {roots}");
    say!("                  They sign key sets only. Move them off this machine now, and keep a copy.");
    say!("Configuration:    {folder}/{CONFIG}");
    say!("For your peers:   {folder}/data/{}", init::KEY_SETS);
    say!("For operators:    liaison --profile {folder}/operator node");
    if birth.folder == Path::new(INSTALLED) {
        say!("\nNext:             systemctl enable --now liaison-node");
    } else {
        say!("\nNext:             liaison-node run --config {folder}/{CONFIG}");
    }
    Ok(())
}

fn check(path: &Path) -> Outcome {
    refuse_key_log()?;
    let config = our(path)?;
    filter(&config.trace)?;
    let found = serve::prepare(config)?.check()?;
    for line in found {
        say!("{line}");
    }
    say!("{}: all is well", path.display());
    Ok(())
}

fn vouch(path: &Path, officers: Vec<OfficerId>, reason: Line) -> Outcome {
    let officers: [OfficerId; 2] =
        officers.try_into().map_err(|_| "--officer is given twice: two officers vouch")?;
    if officers[0] == officers[1] {
        return Err("two different officers vouch".into());
    }
    let size = serve::prepare(our(path)?)?.vouch(officers, reason)?;
    say!("Recorded. The log has {size} entries, and is signed again from the next start.");
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
    let config = Config::read(config)?;
    // First, so that no key is made for a version that cannot be written.
    let mut file = std::fs::File::create_new(out).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{}: exists already; nothing was signed", out.display()),
        _ => format!("{}: {error}; nothing was signed", out.display()),
    })?;
    let signed = init::renew(&config, roots, renewal, serve::clock()).inspect_err(|_| {
        // Empty, and ours: it would only be in the way.
        let _ = std::fs::remove_file(out);
    })?;
    writeln!(file, "{}", signed.json())?;
    say!("Version {} is signed, good until {}.", signed.set().version, signed.set().expires);
    if rotate {
        say!("First:            start the node again, so that it has the new key");
    }
    say!("Put it in force:  liaison node install-key-set {}", out.display());
    Ok(())
}

fn token(config: &Path, holder: &OfficerId, profile: Option<&Path>) -> Outcome {
    let config = Config::read(config)?;
    // First, so that no token is in force which nobody was handed.
    profile.map(init::check_profile).transpose()?;
    let path = init::make_token(&config.api.tokens, holder)?;
    if let Some(profile) = profile {
        init::make_profile(&config.api, &path, profile).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })?;
    }
    say!("{}", path.display());
    if let Some(profile) = profile {
        say!("{}: to be handed to {holder}, who alone may read it", profile.display());
    }
    say!("It is in force from the node's next start.");
    Ok(())
}

fn certificate(config: &Path) -> Outcome {
    let config = Config::read(config)?;
    init::renew_certificate(&config.api, serve::clock())?;
    say!("{}", config.api.certificate.display());
    say!("It is in force from the node's next start. Profiles with a copy of the old one need this one.");
    if config.api.allow_remote {
        say!("Other machines do not take it: it is for localhost. The one before is beside it.");
    }
    Ok(())
}

/// The configuration of a node that is to be opened. What root makes in another user's data folder, that user's node
/// cannot open.
fn our(path: &Path) -> Result<Config, Box<dyn std::error::Error>> {
    let config = Config::read(path)?;
    let is_others = std::fs::metadata(&config.data).is_ok_and(|data| data.uid() != 0);
    if is_others && system::is_root() {
        let data = config.data.display();
        return Err(RunError::NotOurs(format!(
            "{data} is not root's, and root would make files in it that its user cannot open: put `sudo -u liaison` \
             before the command, or the user that `ls -ld {data}` shows"
        ))
        .into());
    }
    Ok(config)
}

/// libp2p's TLS would write session secrets into the file this variable names.
fn refuse_key_log() -> Outcome {
    match std::env::var_os("SSLKEYLOGFILE") {
        Some(_) => Err(RunError::NotOurs(
            "SSLKEYLOGFILE is set: session secrets would be written to a file. Unset it and start again"
                .into(),
        )
        .into()),
        None => Ok(()),
    }
}

fn run(path: &Path) -> Outcome {
    refuse_key_log()?;
    let config = our(path)?;
    trace(&config.trace)?;
    system::raise_file_limit();
    let (node, data) = (config.node.clone(), config.data.clone());
    let prepared = serve::prepare(config)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let running = serve::start(prepared).await?;
        tracing::info!(%node, api = %running.api, listening = ?running.listening, "the node is up");
        if let Ok(Some(why)) = running.pulse().why_not_ready().await {
            tracing::error!("the node is up and CANNOT SIGN: {why}");
        }
        let report = tokio::spawn(supervisor::report(running.pulse()));
        let told = async {
            told_to_stop().await;
            supervisor::stopping();
        };
        // The log names its files from the data folder on.
        let ended = running.until(told).await;
        report.abort();
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

fn filter(settings: &Trace) -> Result<EnvFilter, RunError> {
    let flaw = |why: &dyn std::fmt::Display| {
        let remedy = "write a level, error, warn, info, debug or trace, and PART=LEVEL after it: info,liaison_node=debug";
        RunError::NotOurs(format!("trace.filter = \"{}\": {why}; {remedy}", settings.filter))
    };
    // A word alone would be the name of a part, and what no level is named for is silent: most often that is a slip.
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let directives = || settings.filter.split(',');
    if let Some(word) = directives().find(|word| !word.contains(['=', '[', ']']) && !is_level(word)) {
        return Err(flaw(&format!("`{word}` is no level")));
    }
    if settings.filter.contains(' ') {
        return Err(flaw(&"there is a space in it"));
    }
    if !directives().any(is_level) {
        return Err(flaw(&"no level is named for all else"));
    }
    EnvFilter::try_new(&settings.filter).map_err(|error| flaw(&error))
}

fn trace(settings: &Trace) -> Outcome {
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter(settings)?).with_writer(std::io::stderr);
    match settings.format {
        Format::Json => subscriber.json().init(),
        Format::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}
