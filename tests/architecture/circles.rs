//! Circles of imports inside a room: files that need each other in a loop.
//!
//! An arrow runs from a file to each other file of its room that its code names by a path. A name that a file only hands on
//! is followed to the file that it is from. `lib.rs`, which names the modules of a room, takes no part. Files that reach each
//! other along arrows are a circle: none of them can be read, moved or tested alone.
//!
//! Does not: look into macros, or know names that come in by `*`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    code::names,
    house::{House, Source, Violation},
};

/// The largest circle of a room, in files, and the arrows between the files of all its circles. They can only fall: a smaller
/// number is written down here.
pub(crate) const CIRCLES: &[(&str, Tied)] = &[
    ("adapter", Tied::new(2, 2)),
    ("ambassador", Tied::new(6, 15)),
    ("analysis", Tied::new(34, 95)),
    ("api", Tied::new(22, 152)),
    ("benches", Tied::new(12, 92)),
    ("cache", Tied::new(2, 2)),
    ("cli", Tied::new(10, 51)),
    ("client", Tied::new(5, 13)),
    ("datasets", Tied::new(5, 8)),
    ("document", Tied::new(9, 32)),
    ("engine", Tied::new(33, 353)),
    ("etcd", Tied::new(10, 22)),
    ("front", Tied::new(9, 33)),
    ("leaf", Tied::new(10, 57)),
    ("listener", Tied::new(2, 2)),
    ("log", Tied::new(6, 33)),
    ("model", Tied::new(11, 41)),
    ("partial", Tied::new(11, 36)),
    ("proto", Tied::new(8, 70)),
    ("query", Tied::new(39, 401)),
    ("replication", Tied::new(3, 6)),
    ("root", Tied::new(10, 143)),
    ("server", Tied::new(2, 2)),
    ("shard-router", Tied::new(8, 22)),
    ("telemetry", Tied::new(4, 6)),
    ("testkit", Tied::new(3, 7)),
    ("xtask", Tied::new(6, 13)),
];

/// How closely the files of a room are tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tied {
    /// Files of the largest circle; 0 where there is none.
    files: usize,
    /// Arrows within circles.
    arrows: usize,
}

impl Tied {
    const fn new(files: usize, arrows: usize) -> Self {
        Self { files, arrows }
    }
}

/// A file by the path of its module, without `crate`.
type Module = Vec<String>;

/// Finds rooms that are tied in another way than is written down.
pub(crate) fn changed_circles(house: &House) -> Vec<Violation> {
    let rooms: BTreeSet<&str> = house.sources.iter().map(|source| &*source.room).collect();
    let mut found = Vec::new();
    for room in rooms {
        let (tied, circle) = tied(house, room);
        let known = house.circles.iter().find(|(name, _)| *name == room);
        let known = known.map_or_else(Tied::default, |(_, known)| *known);
        if tied == known {
            continue;
        }
        let seen = if tied.files > known.files || tied.arrows > known.arrows {
            let circle = circle.join(", ");
            format!("{tied:?}, where {known:?} are allowed; the largest circle is {circle}")
        } else {
            format!("{tied:?}: fewer than {known:?}, write that down")
        };
        found.push(Violation::new(room, seen));
    }
    found
}

/// Returns how the files of a room are tied, with the files of the largest circle.
fn tied(house: &House, room: &str) -> (Tied, Vec<String>) {
    let files = Files::of(house, room);
    let arrows = files.arrows();
    let circles = circles(&arrows);
    let largest = circles.iter().max_by_key(|circle| circle.len());
    let within = |circle: &BTreeSet<usize>| -> usize {
        let arrows = circle.iter().map(|from| arrows[*from].intersection(circle));
        arrows.map(Iterator::count).sum()
    };
    let tied = Tied {
        files: largest.map_or(0, BTreeSet::len),
        arrows: circles.iter().map(within).sum(),
    };
    let paths = largest.into_iter().flatten();
    let paths = paths.map(|file| files.sources[*file].path.clone());
    (tied, paths.collect())
}

/// The product files of one room.
struct Files<'h> {
    sources: Vec<&'h Source>,
    modules: Vec<Module>,
    by_module: HashMap<Module, usize>,
}

impl<'h> Files<'h> {
    fn of(house: &'h House, room: &str) -> Self {
        let source = |source: &&Source| source.room == room && !source.product.is_empty();
        let sources: Vec<&Source> = house.sources.iter().filter(source).collect();
        let (mut kept, mut modules) = (Vec::new(), Vec::new());
        for source in sources {
            if let Some(module) = module_of(&source.path) {
                kept.push(source);
                modules.push(module);
            }
        }
        let by_module = modules.iter().cloned().zip(0..).collect();
        Self {
            sources: kept,
            modules,
            by_module,
        }
    }

    /// Returns the files that each one names.
    fn arrows(&self) -> Vec<BTreeSet<usize>> {
        let of_file = |file: usize| {
            let paths = paths(&self.sources[file].product);
            let named = paths.filter_map(|path| self.target(file, &path, 4));
            named
                .filter(|target| *target != file && !self.modules[*target].is_empty())
                .collect()
        };
        let is_face = |file: usize| self.modules[file].is_empty();
        let all = 0..self.sources.len();
        all.map(|file| {
            if is_face(file) {
                BTreeSet::new()
            } else {
                of_file(file)
            }
        })
        .collect()
    }

    /// Returns the file that a path in `file` leads to; through `most` files that hand the name on.
    fn target(&self, file: usize, path: &[&str], most: usize) -> Option<usize> {
        let whole = self.absolute(file, path)?;
        let (known, target) = (0..=whole.len())
            .rev()
            .find_map(|len| Some((len, *self.by_module.get(&whole[..len])?)))?;
        let Some(name) = whole.get(known).filter(|_| most > 0) else {
            return Some(target);
        };
        if target == file || defines(&self.sources[target].product, name) {
            return Some(target);
        }
        let handed_on = paths(&self.sources[target].product)
            .filter(|path| path.last() == Some(&name.as_str()))
            .find_map(|path| self.target(target, &path, most - 1));
        Some(handed_on.unwrap_or(target))
    }

    /// Returns a path from the top of the crate; `None` where it leads out of it.
    fn absolute(&self, file: usize, path: &[&str]) -> Option<Module> {
        let mut module = self.modules[file].clone();
        let mut rest = path;
        match rest.first()? {
            &"crate" => module.clear(),
            &"self" => {}
            &"super" => {
                while let Some((&"super", behind)) = rest.split_first() {
                    module.pop()?;
                    rest = behind;
                }
                module.extend(rest.iter().map(|part| (*part).to_owned()));
                return Some(module);
            }
            name => {
                module.push((*name).to_owned());
                if !self.by_module.contains_key(&module) {
                    return None;
                }
            }
        }
        module.extend(rest[1..].iter().map(|part| (*part).to_owned()));
        Some(module)
    }
}

/// Returns the path of the module that a file of `src` is; `None` for what is no part of a library, or is a test.
fn module_of(path: &str) -> Option<Module> {
    let (_, below) = path.split_once("/src/")?;
    let module = below.strip_suffix(".rs")?;
    let parts: Module = module.split('/').map(str::to_owned).collect();
    let is_test = parts
        .iter()
        .any(|part| part == "tests" || part == "testing");
    match parts.as_slice() {
        [only] if only == "lib" || only == "main" => Some(Vec::new()),
        _ if is_test => None,
        _ => Some(parts),
    }
}

/// Returns the paths that stand in `code`. The head of a group is none, as its members are written out, nor is that of a
/// visibility.
fn paths(code: &str) -> impl Iterator<Item = Vec<&str>> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = code.split(move |letter| !is_part(letter));
    let mut before = "";
    words
        .filter(move |word| {
            std::mem::replace(&mut before, word) != "in" || !word.starts_with("crate")
        })
        .filter(|word| word.contains("::") && !word.ends_with(':'))
        .map(|word| word.strip_suffix("::self").unwrap_or(word))
        .map(|word| word.split("::").filter(|part| !part.is_empty()).collect())
}

/// Returns whether an item of this name is written in `code`.
fn defines(code: &str, name: &str) -> bool {
    let kinds = [
        "fn", "struct", "enum", "trait", "type", "const", "static", "union",
    ];
    kinds
        .iter()
        .any(|kind| names(code, &format!("{kind} {name}")))
}

/// Returns the sets of more than one file that reach each other, by Tarjan's algorithm ("Depth-first search and linear graph
/// algorithms", 1972).
fn circles(arrows: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut search = Search {
        arrows,
        order: BTreeMap::new(),
        lowest: vec![0; arrows.len()],
        open: Vec::new(),
        found: Vec::new(),
    };
    for file in 0..arrows.len() {
        if !search.order.contains_key(&file) {
            search.visit(file);
        }
    }
    search.found
}

struct Search<'a> {
    arrows: &'a [BTreeSet<usize>],
    order: BTreeMap<usize, usize>,
    lowest: Vec<usize>,
    open: Vec<usize>,
    found: Vec<BTreeSet<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, file: usize) {
        let number = self.order.len();
        self.order.insert(file, number);
        self.lowest[file] = number;
        self.open.push(file);
        for &next in &self.arrows[file] {
            if !self.order.contains_key(&next) {
                self.visit(next);
                self.lowest[file] = self.lowest[file].min(self.lowest[next]);
            } else if self.open.contains(&next) {
                self.lowest[file] = self.lowest[file].min(self.order[&next]);
            }
        }
        if self.lowest[file] == number {
            let start = self.open.iter().rposition(|open| *open == file);
            let circle: BTreeSet<usize> = self.open.drain(start.unwrap_or_default()..).collect();
            if circle.len() > 1 {
                self.found.push(circle);
            }
        }
    }
}

fn tied_by(sources: &[(&str, &str)]) -> Tied {
    let sources = sources.iter().map(|(path, code)| Source::new(path, code));
    let house = House {
        sources: sources.collect(),
        ..House::default()
    };
    tied(&house, "room").0
}

#[test]
fn files_that_name_each_other_are_a_circle() {
    let (one, two) = ("room/src/one.rs", "room/src/two.rs");
    let free = tied_by(&[(one, "use crate::two::Two;"), (two, "pub struct Two;")]);
    assert_eq!(free, Tied::default());
    let tied = tied_by(&[
        (one, "use crate::two::{Two, self};"),
        (two, "pub struct Two(super::one::One);"),
        ("room/src/three.rs", "use crate::{one, two};"),
    ]);
    assert_eq!(tied, Tied::new(2, 2));
    let around = tied_by(&[
        (one, "fn f() { below::g() }"),
        ("room/src/one/below.rs", "use crate::two::Two;"),
        (two, "use crate::one;"),
    ]);
    assert_eq!(around, Tied::new(3, 3));
}

#[test]
fn a_name_that_is_handed_on_leads_to_where_it_is_from() {
    let face = ("room/src/lib.rs", "mod one; mod two;\npub use one::One;");
    let one = (
        "room/src/one.rs",
        "mod own;\npub use own::One;\nuse crate::two::Two;",
    );
    let own = ("room/src/one/own.rs", "pub struct One;");
    let two = "room/src/two.rs";
    let free = tied_by(&[face, one, own, (two, "use crate::One;\npub struct Two;")]);
    assert_eq!(free, Tied::default());
    let tied = tied_by(&[face, one, own, (two, "fn f() { crate::one::g() }")]);
    assert_eq!(tied, Tied::new(2, 2));
}

#[test]
fn tests_and_visibilities_tie_nothing() {
    let one = ("room/src/one.rs", "use crate::two::Two;");
    let two = "room/src/two.rs";
    let seen = "pub(in crate::one) struct Two;\n#[cfg(test)]\nmod tests { use crate::one::One; }";
    assert_eq!(tied_by(&[one, (two, seen)]), Tied::default());
}
