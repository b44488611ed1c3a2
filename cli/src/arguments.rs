//! The command line as a whole.

use clap::ArgAction;

use crate::{
    adapter::AdapterArguments,
    ambassador::AmbassadorArguments,
    bench::BenchArguments,
    certs::CertsArguments,
    cluster::ClusterArguments,
    completions::CompletionsArguments,
    config_sync::ConfigSyncArguments,
    dataset::DatasetArguments,
    demo::DemoArguments,
    front::FrontArguments,
    health::HealthArguments,
    index::IndexArguments,
    keys::KeysArguments,
    man::ManArguments,
    node::{LeafArguments, RootArguments},
    search::SearchArguments,
    serve::ServeArguments,
    top::TopArguments,
    topz::TopzArguments,
};

/// A distributed document-search engine that speaks the REST dialect you already use.
#[derive(Debug, clap::Parser)]
#[command(name = "gleaner", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// Say more on standard error; -vv says even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Serve(ServeArguments),
    Leaf(LeafArguments),
    Root(RootArguments),
    Front(FrontArguments),
    Ambassador(AmbassadorArguments),
    Adapter(AdapterArguments),
    ConfigSync(ConfigSyncArguments),
    Cluster(ClusterArguments),
    Certs(CertsArguments),
    Keys(KeysArguments),
    Health(HealthArguments),
    Top(TopArguments),
    Topz(TopzArguments),
    Demo(DemoArguments),
    Index(IndexArguments),
    Search(SearchArguments),
    Bench(BenchArguments),
    Dataset(DatasetArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

impl Command {
    /// Does it make files that others must not read: documents, keys and digests of them, what clients ask?
    pub(crate) fn keeps_data(&self) -> bool {
        matches!(
            self,
            Self::Serve(_)
                | Self::Demo(_)
                | Self::Leaf(_)
                | Self::Root(_)
                | Self::Front(_)
                | Self::Cluster(_)
                | Self::Keys(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Checks that each flag of a command, and of those below it, has a variable.
    fn check_variables(command: &Command, path: &str) {
        for argument in command.get_arguments() {
            let Some(flag) = argument.get_long().filter(|_| !argument.is_hide_set()) else {
                continue;
            };
            let variable = argument.get_env().and_then(|name| name.to_str());
            assert!(
                variable.is_some_and(|name| name.starts_with("GLEANER_")),
                "{path}: `--{flag}` has no variable"
            );
        }
        for below in command.get_subcommands() {
            check_variables(below, &format!("{path} {}", below.get_name()));
        }
    }

    #[test]
    fn every_flag_of_every_companion_has_a_variable() {
        let whole = Arguments::command();
        for name in ["front", "ambassador", "adapter", "config-sync", "index"] {
            let companion = whole.find_subcommand(name).expect("a command");
            check_variables(companion, name);
        }
    }

    /// Writes the help of a command and of those below it, whatever the environment holds.
    fn help(command: &mut Command, path: &str, text: &mut String) {
        *command = command
            .clone()
            .mut_args(|argument| argument.hide_env_values(true));
        *text += &format!("# {path}\n{}\n", command.render_long_help());
        for below in command.get_subcommands_mut() {
            let name = below.get_name().to_owned();
            if name != "help" {
                help(below, &format!("{path} {name}"), text);
            }
        }
    }

    /// Returns the commands of `gleaner` that a file in `deploy/` names: between backticks in comments, as the command
    /// of a container, or in a script.
    fn commands_in(text: &str) -> Vec<Vec<String>> {
        let words = |command: &str| command.split_whitespace().map(str::to_owned).collect();
        let lines = text.lines().map(str::trim);
        let comments: Vec<&str> = lines
            .clone()
            .filter_map(|line| line.strip_prefix('#'))
            .collect();
        let comments = comments.join(" ");
        let quoted = comments.split('`').skip(1).step_by(2);
        let mut commands: Vec<Vec<String>> = quoted.map(words).collect();
        for line in lines {
            if let Some(list) = line.strip_prefix("command: [\"") {
                let list = format!("[\"{list}");
                let list: Vec<String> = serde_json::from_str(&list).expect("a list of words");
                commands.push([vec!["gleaner".to_owned()], list].concat());
            } else if let Some(script) = line.strip_prefix("- ") {
                commands.extend(script.split('|').map(words));
            }
        }
        commands.retain(|words| words.len() > 1 && words[0] == "gleaner");
        commands
    }

    #[test]
    fn every_command_in_the_files_for_operators_can_be_given() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
        let mut num_commands = 0;
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            // Folders hold no commands.
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            for words in commands_in(&text) {
                let parsed = Arguments::command().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{}: {words:?}: {parsed:?}", path.display());
                num_commands += 1;
            }
        }
        assert!(num_commands >= 12, "{num_commands} commands were found");
    }

    #[test]
    fn the_help_of_every_command_is_frozen() {
        let mut whole = Arguments::command().term_width(100);
        whole.build();
        let mut text = String::new();
        help(&mut whole, "gleaner", &mut text);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
