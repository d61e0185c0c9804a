//! The profile: which node the command talks to, and with what it proves who it is.
//!
//! The node writes one when it is set up. Secrets are paths, never values; paths are relative to the profile.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where a node is, what certificate it shows and which token it takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Profile {
    /// The file it was read from.
    pub(crate) file: PathBuf,
    /// `https://host:port`, without a slash at the end.
    pub(crate) url: String,
    /// The file with the node's certificate.
    pub(crate) ca: PathBuf,
    /// The file with the token.
    pub(crate) token: PathBuf,
}

/// `client.toml`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    ca: PathBuf,
    token: PathBuf,
}

impl Profile {
    /// The profile at `given` (a file, or a folder with `client.toml`), or else the first of `places` that has one.
    pub(crate) fn find(given: Option<&Path>, places: &[PathBuf]) -> Result<Self, ProfileError> {
        let file = match given {
            Some(path) if path.is_dir() => path.join(FILE),
            Some(path) => path.to_owned(),
            None => {
                let files = places.iter().map(|place| place.join(FILE));
                let found = files.clone().find(|file| file.is_file());
                found.ok_or_else(|| {
                    ProfileError::None(files.map(|file| file.display().to_string()).collect())
                })?
            }
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|why| ProfileError::Unreadable { file: file.clone(), why })?;
        Self::read(file, &text)
    }

    fn read(file: PathBuf, text: &str) -> Result<Self, ProfileError> {
        let bad = |why: String| ProfileError::Bad { file: file.clone(), why };
        let written: Written = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        let url = written.url.trim_end_matches('/').to_owned();
        if !url.strip_prefix("https://").is_some_and(|host| !host.is_empty() && !host.contains('/')) {
            return Err(bad(format!("url is {url:?} and must be https://HOST:PORT")));
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        Ok(Self { url, ca: folder.join(written.ca), token: folder.join(written.token), file })
    }
}

/// Where profiles are looked for when none is named: `./operator`, then `~/.config/liaison`, then that of a node which a
/// package of this system runs: for whoever may read it.
pub(crate) fn places() -> Vec<PathBuf> {
    let home = std::env::home_dir().map(|home| home.join(".config/liaison"));
    [PathBuf::from("operator")].into_iter().chain(home).chain([INSTALLED.into()]).collect()
}

/// Why there is no profile to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// It says something else than a profile says.
    #[error("the profile {} does not say what a profile says: {why}", file.display())]
    Bad { file: PathBuf, why: String },
    /// None was named and none is in its usual places.
    #[error(
        "no profile: there is no {}. Whoever runs the node gives you one (liaison-node token NAME --profile FOLDER), and \
         one is in the folder `operator` beside its configuration: name it with --profile or LIAISON_PROFILE",
        .0.join(" and no ")
    )]
    None(Vec<String>),
    /// The one named cannot be read.
    #[error(
        "cannot read the profile {}: {why}. Name the folder `operator` that the node wrote, or the client.toml in \
         it, with --profile or LIAISON_PROFILE",
        file.display()
    )]
    Unreadable { file: PathBuf, why: io::Error },
}

/// The name of a profile in its folder.
const FILE: &str = "client.toml";
/// The folder of the profile of an installed node.
const INSTALLED: &str = "/var/lib/liaison/operator";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "url = \"https://127.0.0.1:4711/\"\nca = \"ca.pem\"\ntoken = \"/etc/officer.token\"\n";

    #[test]
    fn paths_are_relative_to_the_profile() {
        let profile = Profile::read("here/client.toml".into(), GOOD).expect("a good profile");
        assert_eq!(profile.url, "https://127.0.0.1:4711");
        assert_eq!(profile.ca, Path::new("here/ca.pem"));
        assert_eq!(profile.token, Path::new("/etc/officer.token"));
    }

    #[test]
    fn what_is_not_known_and_what_is_not_tls_is_refused() {
        for (from, to, why) in [
            ("token =", "tokken =", "unknown field `tokken`"),
            ("https", "http", "must be https://HOST:PORT"),
            (":4711/", ":4711/v1", "must be https://HOST:PORT"),
            ("ca = \"ca.pem\"", "", "missing field `ca`"),
        ] {
            let bad = Profile::read("client.toml".into(), &GOOD.replacen(from, to, 1));
            let text = bad.expect_err(to).to_string();
            assert!(text.contains(why) && text.contains("the profile client.toml"), "{text}");
        }
    }

    #[test]
    fn a_profile_is_a_file_or_its_folder_and_the_first_place_wins() {
        let here = tempfile::tempdir().expect("a folder");
        let (first, second) = (here.path().join("operator"), here.path().join("config"));
        let places = [first.clone(), second.clone()];
        let none = Profile::find(None, &places).expect_err("nothing is there").to_string();
        assert!(none.contains("operator/client.toml and no ") && none.contains("--profile"), "{none}");
        for (place, port) in [(&second, "2"), (&first, "1")] {
            std::fs::create_dir(place).expect("a new folder");
            std::fs::write(place.join(FILE), GOOD.replace("4711", port)).expect("a new file");
            let found = Profile::find(None, &places).expect("it is there");
            assert!(found.url.ends_with(port));
        }
        let named = Profile::find(Some(&second), &places).expect("it is there");
        assert_eq!(Some(named), Profile::find(Some(&second.join(FILE)), &[]).ok());
        let missing = Profile::find(Some(Path::new("/nowhere")), &places).expect_err("it is not there");
        assert!(missing.to_string().starts_with("cannot read the profile /nowhere: "), "{missing}");
    }
}
