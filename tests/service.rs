//! The node as a service: what systemd is told, which ends are final, and that what `deploy/` says of the programs is so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use liaison_tests::processes::{House, PATIENCE, program, run, said};

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The unit's settings of this name.
fn settings(name: &str) -> Vec<String> {
    let unit = deployed("liaison-node.service");
    let settings = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    settings.map(str::to_owned).collect()
}

/// What stands for systemd: the messages that come to its socket.
struct Systemd(UnixDatagram);

impl Systemd {
    fn listen(house: &House) -> (Self, Command) {
        let path = house.at("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a new socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("it can wait");
        let mut command = house.command();
        // The watchdog's time as the unit sets it.
        let secs: u64 = settings("WatchdogSec")[0].parse().expect("seconds");
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", (secs * 1_000_000).to_string());
        (Self(socket), command)
    }

    /// The next messages until one has this line.
    fn hear(&self, line: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let len = self
                .0
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("{line} not after {heard:?}: {error}"));
            heard.extend(String::from_utf8_lossy(&buffer[..len]).lines().map(str::to_owned));
            if heard.iter().any(|heard| heard == line) {
                return heard;
            }
        }
    }
}

#[test]
fn the_unit_lets_the_node_use_every_family_of_sockets_that_it_needs() {
    // Whoever listens at an unspecified address asks over netlink which addresses the machine has.
    assert_eq!(settings("RestrictAddressFamilies"), ["AF_INET AF_INET6 AF_NETLINK AF_UNIX"]);
}

#[test]
fn systemd_is_told_that_the_node_is_up_and_whether_it_can_sign() {
    let mut ken = House::new("KEN");
    let (systemd, command) = Systemd::listen(&ken);
    ken.start_as(command);
    let heard = systemd.hear("READY=1");
    assert_eq!(heard, ["STATUS=can sign", "WATCHDOG=1", "READY=1"]);
    assert!(ken.stop().success());
    systemd.hear("STOPPING=1");

    // This machine has signed more than the log has: it is up, signs nothing, and says why.
    let marker = fs::read_to_string(ken.at("signed")).expect("the node wrote it");
    let size = marker.lines().last().expect("the size");
    fs::write(ken.at("signed"), marker.replace(size, "1000000")).expect("ours");
    let (systemd, command) = Systemd::listen(&ken);
    ken.start_as(command);
    let heard = systemd.hear("READY=1");
    assert!(
        heard[0].starts_with("STATUS=CANNOT SIGN: ") && heard[0].contains("log rolled back"),
        "{heard:?}"
    );
    assert!(ken.stop().success());
}

#[test]
fn the_unit_does_not_try_again_where_only_a_person_can_help() {
    assert_eq!(settings("RestartPreventExitStatus"), ["78"]);
    let mut ken = House::new("KEN");
    let ends = |command: &mut Command| {
        let ended = run(command);
        (ended.status.code(), said(&ended))
    };
    let config = fs::read_to_string(ken.at("liaison.toml")).expect("init wrote it");
    for wrong in [
        config.replace("[api]", "[ap]"),
        config.replace("\"keys\"", "\"elsewhere\""),
        config.replace("\"data\"", "\"elsewhere\""),
        config.replace("\"info\"", "\"===\""),
        config.replace("\"info\"", "\"inof\""),
        config.replace("\"info\"", "\"liaison_node=debug\""),
        config.replace("\"info\"", "\"info, liaison_node=debug\""),
        config.replace("\"KEN\"", "\"UGA\""),
        config.replace("api/tokens", "api/elsewhere"),
        config.replace("/ip4/127.0.0.1/tcp", "/ip4/224.0.0.1/tcp"),
        config.replace("listen = \"127.0.0.1", "listen = \"0.0.0.0"),
        config.replace("certificate.pem", "other.pem"),
        config.replace("/ip4/127.0.0.1/tcp", "/dns4/localhost/tcp"),
    ] {
        assert_ne!(wrong, config);
        fs::write(ken.at("liaison.toml"), wrong).expect("ours");
        let (code, said_by_run) = ends(&mut ken.command());
        assert_eq!(code, Some(78), "{said_by_run}");
        // Whoever checks before is told the same.
        let mut check = Command::new(program("liaison-node"));
        let (code, said) = ends(check.args(["check", "--config"]).arg(ken.at("liaison.toml")));
        assert_eq!((code, said), (Some(78), said_by_run));
    }
    fs::write(ken.at("liaison.toml"), config).expect("ours");
    let token = ken.at("api/tokens/okello.token");
    for is_folder in [true, false] {
        if is_folder {
            fs::create_dir(&token).expect("ours")
        } else {
            fs::write(&token, [0xff]).expect("ours")
        }
        fs::set_permissions(&token, fs::Permissions::from_mode(0o700)).expect("ours");
        let (code, said) = ends(&mut ken.command());
        assert!(code == Some(78) && said.contains("okello.token"), "{code:?} {said}");
        if is_folder { fs::remove_dir(&token).expect("ours") } else { fs::remove_file(&token).expect("ours") }
    }
    let (code, said) = ends(ken.command().env("SSLKEYLOGFILE", "/dev/null"));
    assert_eq!(code, Some(78), "{said}");
    // What may be gone at the next try.
    ken.start();
    let (code, said) = ends(&mut ken.command());
    assert!(code == Some(1) && said.contains("another process"), "{code:?} {said}");
}

#[test]
fn a_token_is_not_made_where_its_profile_cannot_be() {
    let ken = House::new("KEN");
    let token = |profile: &str| {
        let mut command = Command::new(program("liaison-node"));
        command.args(["token", "okello", "--config"]).arg(ken.at("liaison.toml"));
        run(command.arg("--profile").arg(ken.at(profile)))
    };
    let refused = token("operator");
    assert!(!refused.status.success() && said(&refused).contains("nothing is ever overwritten"));
    assert!(!ken.at("api/tokens/okello.token").exists(), "{}", said(&refused));
    let made = token("okello");
    assert!(made.status.success() && ken.at("okello/token").exists(), "{}", said(&made));
}

/// What the unit, the container and the package's scripts type is what the programs take.
#[test]
fn what_is_deployed_names_commands_that_are_there() {
    let exec = settings("ExecStart").remove(0);
    let words: Vec<_> = exec.split(' ').skip(1).collect();
    let started = run(Command::new(program("liaison-node")).args(&words[..2]).arg("/nowhere/liaison.toml"));
    assert!(said(&started).contains("/nowhere/liaison.toml"), "{exec}: {}", said(&started));
    let container = deployed("Containerfile");
    assert!(
        container.contains("CMD [\"run\"]") && container.contains("ENTRYPOINT [\"/usr/bin/liaison-node\"]")
    );
    let toolchain = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust-toolchain.toml"));
    let version = container.split("RUSTUP_TOOLCHAIN=").nth(1).and_then(|rest| rest.lines().next());
    let version = version.expect("the container names its toolchain");
    assert!(version.starts_with(env!("CARGO_PKG_RUST_VERSION")), "the container builds with {version}");
    let toolchain = toolchain.expect("it is there");
    let channel = toolchain.split('"').nth(1).expect("a channel");
    assert!(version.starts_with(channel), "the container builds with {version}, we with {channel}");
    // Every room of the workspace is copied into the container's build.
    for room in ["cli", "deploy/manual", "node", "protocol", "tests"] {
        assert!(container.contains(&format!("COPY {room} {room}\n")), "{room}");
    }
}
