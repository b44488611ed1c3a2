//! Documents to search: readers of files, generated text, judged collections.
//!
//! Does: stream documents out of files, the machine's cargo registry and a seeded generator, in a
//! fixed order and bounded memory; measure rankings against judgements.
//! Does not: talk to a server, read the environment, download anything.
//! Called by `cli` (`index`, `dataset`, `demo`), tests and benches. Read [`Corpus`] first.
//!
//! ```
//! use gleaner_datasets::{Generator, collection};
//!
//! let first = Generator::new(7, 1_000).document(0);
//! assert_eq!(first, Generator::new(7, 1_000).document(0));
//! assert_eq!(collection::documents().count(), 60);
//! ```

mod corpus;
mod error;
mod input;
mod object;

pub mod beir;
pub mod catalog;
pub mod collection;
pub mod evaluation;
mod generate;
mod judgements;
pub mod query_set;
mod random;
pub mod read;
pub mod registry;

pub use corpus::{Corpus, Document, Progress, Size};
pub use error::{DatasetError, Place};
pub use generate::Generator;
pub use input::Input;
pub use judgements::{Judgements, Query};
pub use random::Random;
