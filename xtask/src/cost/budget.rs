//! The budgets: a file of figures, each with the reasons for which it rose.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use toml::{Table, Value};

use crate::workspace::Workspace;

/// Above its budget a figure may be by this share: the next compiler, or another order of maps.
const ALLOWED: f64 = 0.03;

/// Instructions that may be more than that: what the process does by itself in the time of a request, which is longer on a busy
/// machine. Small classes were seen to wander by 5 %.
const BY_ITSELF: f64 = 10_000.0;

/// Switches that may be more than the budget: they hang on what else the machine does.
const ALLOWED_SWITCHES: f64 = 0.5;

/// What a request, or a minute, took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) instructions: Option<u64>,
    pub(super) allocations: Option<u64>,
    /// Of threads that waited, per request.
    pub(super) switches: Option<f64>,
    /// Of a processor, in a minute.
    pub(super) seconds: Option<f64>,
    /// In a minute.
    pub(super) wake_ups: Option<u64>,
}

/// The name of a figure, the figure, and what it may be at most beside a budget.
type NamedFigure = (&'static str, Option<f64>, fn(f64) -> f64);

impl Figures {
    /// Returns each figure by its name, with what it may be at most beside a budget of as much.
    fn named(&self) -> [NamedFigure; 5] {
        // Of a few allocations one more is much: a batch may end between two of the background's.
        let share: fn(f64) -> f64 = |budget| budget * (1.0 + ALLOWED) + 1.0;
        let busy: fn(f64) -> f64 = |budget| budget * (1.0 + ALLOWED) + BY_ITSELF;
        // Idle processes are looked at for a minute only.
        let coarse: fn(f64) -> f64 = |budget| budget * 1.5 + 0.05;
        let number = |count: Option<u64>| count.map(|count| count as f64);
        [
            ("instructions", number(self.instructions), busy),
            ("allocations", number(self.allocations), share),
            ("switches", self.switches, |budget| {
                budget + ALLOWED_SWITCHES
            }),
            ("seconds", self.seconds, coarse),
            ("wake_ups", number(self.wake_ups), coarse),
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, figure, _) in self.named() {
            if let Some(figure) = figure {
                write!(f, "{figure:>12} {name}")?;
            }
        }
        Ok(())
    }
}

/// The budgets of one profile.
pub(super) struct Budgets {
    all: Table,
    profile: &'static str,
}

impl Budgets {
    /// Reads those of `profile`; none where the file has none.
    pub(super) fn read(workspace: &Workspace, profile: &'static str) -> anyhow::Result<Self> {
        let path = path(workspace);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| path.display().to_string())?,
        };
        let all = text.parse().with_context(|| path.display().to_string())?;
        Ok(Self { all, profile })
    }

    /// Returns why the budgets hold nothing against a binary of this machine's compiler: they are of another one.
    pub(super) fn other_compiler(&self) -> anyhow::Result<Option<String>> {
        let (ours, theirs) = (compiler()?, self.text("compiler"));
        let is_other = theirs.is_some_and(|theirs| theirs != ours);
        let why = || {
            let theirs = theirs.unwrap_or_default();
            format!("the budgets are of {theirs}, and this is {ours}")
        };
        Ok(is_other.then(why))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.all.get(self.profile)?.get(name)?.as_str()
    }

    fn budget(&self, class: &str, figure: &str) -> Option<f64> {
        let budget = self.all.get(self.profile)?.get(class)?.get(figure)?;
        budget
            .as_float()
            .or_else(|| budget.as_integer().map(|number| number as f64))
    }

    /// Says which figures of a class are above their budgets, or have none.
    pub(super) fn faults(&self, class: &str, found: &Figures) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, figure, most) in found.named() {
            let Some(figure) = figure else { continue };
            match self.budget(class, name) {
                None => faults.push(format!(
                    "no budget of {name}: `cargo xtask cost --write` makes one"
                )),
                Some(budget) if figure > most(budget) => {
                    let more = 100.0 * (figure / budget - 1.0);
                    faults.push(format!(
                        "{figure} {name} are {more:.1} % above the budget of {budget}"
                    ));
                }
                Some(_) => {}
            }
        }
        faults
    }

    /// Makes what was found the budgets.
    ///
    /// # Errors
    /// When one rises, and no reason is given.
    pub(super) fn write(
        &mut self,
        workspace: &Workspace,
        found: &BTreeMap<&str, Figures>,
        because: Option<&str>,
    ) -> anyhow::Result<()> {
        let rising: Vec<&str> = found
            .iter()
            .filter(|(class, figures)| {
                let is_known = |(name, ..): &(&str, _, _)| self.budget(class, name).is_some();
                figures.named().iter().any(is_known) && !self.faults(class, figures).is_empty()
            })
            .map(|(class, _)| *class)
            .collect();
        ensure!(
            rising.is_empty() || because.is_some(),
            "the budgets of {} rise: say why with --because TEXT",
            rising.join("; ")
        );
        let compiler = compiler()?;
        let profile = table(&mut self.all, self.profile);
        profile.insert("compiler".into(), compiler.into());
        for (class, figures) in found {
            let budgets = table(profile, class);
            for (name, figure, _) in figures.named() {
                let Some(figure) = figure else { continue };
                let value = match figure.fract() == 0.0 && name != "switches" && name != "seconds" {
                    true => Value::Integer(figure as i64),
                    false => Value::Float(figure),
                };
                budgets.insert(name.into(), value);
            }
            if let Some(reason) = because.filter(|_| rising.contains(class)) {
                let reasons = budgets.entry("risen").or_insert(Value::Array(Vec::new()));
                let reasons = reasons.as_array_mut().context("`risen` is no list")?;
                reasons.push(reason.into());
            }
        }
        let text = format!("{HEAD}{}", toml::to_string_pretty(&self.all)?);
        fs::write(path(workspace), text)?;
        Ok(())
    }
}

/// What stands above the budgets.
const HEAD: &str = "\
# What a request may cost, by `cargo xtask cost` (docs/decisions/0069-cost-guard.md). A class fails 3 % and 10,000
# instructions above.
# Written by `cargo xtask cost --write`; where a budget rises, `risen` says why.

";

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root().join("xtask/cost.toml")
}

fn table<'a>(within: &'a mut Table, name: &str) -> &'a mut Table {
    let entry = within.entry(name).or_insert(Value::Table(Table::new()));
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    entry.as_table_mut().expect("it was made one")
}

/// Returns what the compiler calls itself: another one makes other instructions.
fn compiler() -> anyhow::Result<String> {
    let told = Command::new("rustc").arg("--version").output()?;
    ensure!(told.status.success(), "rustc does not say its version");
    let version = String::from_utf8(told.stdout)?;
    let words: Vec<&str> = version.split(' ').take(2).collect();
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets() -> Budgets {
        let text = "[dev.empty]\ninstructions = 1000000\nallocations = 10\nswitches = 1.0\n";
        Budgets {
            all: text.parse().expect("a table"),
            profile: "dev",
        }
    }

    fn figures(instructions: u64, switches: f64) -> Figures {
        Figures {
            instructions: Some(instructions),
            switches: Some(switches),
            ..Figures::default()
        }
    }

    #[test]
    fn a_figure_fails_beyond_what_is_allowed_above_its_budget() {
        let budgets = budgets();
        assert_eq!(budgets.faults("empty", &figures(1_040_000, 1.5)), [""; 0]);
        let faults = budgets.faults("empty", &figures(1_042_000, 1.6));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].contains("4.2 % above the budget of 1000000"),
            "{faults:?}"
        );
        let faults = budgets.faults("another", &figures(1, 0.0));
        assert!(faults[0].contains("no budget"), "{faults:?}");
    }
}
