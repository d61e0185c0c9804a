//! What an installed program brings beside itself: man pages, and completions for shells. Both are made from the
//! definition of its commands, so that they cannot say anything else than `--help` does.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Where each shell looks below `/usr/share`, and below `~/.local/share` (zsh: if it is told to).
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
    (Shell::Zsh, "zsh/vendor-completions"),
];

/// What the man pages of a program are headed and ended with.
#[derive(Clone, Copy, Debug)]
pub struct Manual {
    /// The section they stand in: 1 for commands, 8 for services. `liaison node` and `liaison-node` are both
    /// `liaison-node`, in different sections.
    pub section: &'static str,
    /// What else to read: a page such as `liaison(1)`.
    pub also: &'static str,
}

impl Manual {
    /// Write the man pages of `program` and of each of its commands, and its completions, where they belong below `share`.
    /// What is there is overwritten.
    pub fn write(self, program: Command, share: &Path) -> io::Result<()> {
        let name = program.get_name().to_owned();
        let source = format!("{name} {}", program.get_version().unwrap_or_default());
        for (shell, folder) in COMPLETIONS {
            let folder = share.join(folder);
            fs::create_dir_all(&folder)?;
            clap_complete::generate_to(shell, &mut program.clone(), &name, folder)?;
        }
        let folder = share.join(format!("man/man{}", self.section));
        fs::create_dir_all(&folder)?;
        let mut program = program.disable_help_subcommand(true);
        program.build();
        self.pages(&program, None, &source, &folder)
    }

    /// The page of `command` and those of the commands below it.
    fn pages(self, command: &Command, above: Option<&str>, source: &str, folder: &Path) -> io::Result<()> {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let file = folder.join(format!("{name}.{}", self.section));
        fs::write(file, self.page(command, above, source)?)?;
        command.get_subcommands().try_for_each(|below| self.pages(below, Some(name), source, folder))
    }

    fn page(self, command: &Command, above: Option<&str>, source: &str) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let man = Man::new(command.clone()).section(self.section).source(source).manual("liaison");
        man.render_title(&mut out)?;
        man.render_name_section(&mut out)?;
        man.render_synopsis_section(&mut out)?;
        man.render_description_section(&mut out)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut out)?;
        }
        man.render_options_section(&mut out)?;
        let mut end = Roff::new();
        if let Some(examples) = command.get_after_long_help() {
            // As they are typed: `--help` heads them with a line of its own.
            end.control("SH", ["EXAMPLES"]).control("nf", []);
            for line in examples.to_string().lines().skip(1) {
                end.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            end.control("fi", []);
        }
        end.control("SH", ["SEE ALSO"]);
        if let Some(above) = above {
            end.text([bold(above), roman(format!("({}),", self.section))]);
        }
        end.text([roman(format!("{}, /usr/share/doc/liaison/OPERATING.md", self.also))]);
        end.to_writer(&mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    const MANUAL: Manual = Manual { section: "8", also: "boat(1)" };

    fn program() -> Command {
        let add = Command::new("add")
            .about("Admit a peer")
            .arg(Arg::new("qr").long("qr").num_args(0).help("Draw it"))
            .after_long_help("Examples:\n  ship peer add x   # 'as' typed\n  .so never read");
        let peer = Command::new("peer").about("Peers").subcommand_required(true).subcommand(add);
        Command::new("ship").version("9.1").about("A program").subcommand(peer)
    }

    #[test]
    fn every_command_has_its_page_and_every_shell_its_completions() {
        let share = tempfile::tempdir().expect("a folder");
        MANUAL.write(program(), share.path()).expect("a folder of ours");
        // Again: an upgrade writes over what is there.
        MANUAL.write(program(), share.path()).expect("a folder of ours");
        let names = |folder: &str| {
            let listed = fs::read_dir(share.path().join(folder)).expect("it is there");
            let mut names: Vec<_> = listed
                .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
                .collect();
            names.sort();
            names
        };
        assert_eq!(names("man/man8"), ["ship-peer-add.8", "ship-peer.8", "ship.8"]);
        assert_eq!(names("bash-completion/completions"), ["ship.bash"]);
        assert_eq!(names("fish/vendor_completions.d"), ["ship.fish"]);
        assert_eq!(names("zsh/vendor-completions"), ["_ship"]);
    }

    #[test]
    fn examples_stand_as_they_are_typed() {
        let share = tempfile::tempdir().expect("a folder");
        MANUAL.write(program(), share.path()).expect("a folder of ours");
        let page = fs::read_to_string(share.path().join("man/man8/ship-peer-add.8")).expect("it is there");
        for part in [
            "ship\\-peer\\-add \\- Admit a peer\n",
            "\\fBship peer add\\fR",
            ".SH EXAMPLES\n.nf\n",
            "ship peer add x   # ",
            "\n\\&.so never read\n",
            ".fi\n.SH \"SEE ALSO\"\n\\fBship\\-peer\\fR(8),\nboat(1), /usr",
            "ship 9.1",
        ] {
            assert!(page.contains(part), "{part:?} is not in:\n{page}");
        }
        assert!(!page.contains("Examples:"), "{page}");
    }
}
