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
    Demo(DemoArguments),
    Index(IndexArguments),
    Search(SearchArguments),
    Bench(BenchArguments),
    Dataset(DatasetArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
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
