//! A route: paths, methods, parameters. Does not: know what answers it, which its endpoint does.

use http::Method;

/// One operation of the dialect.
pub struct Route {
    /// Name in the documentation, for example `indices.create`.
    pub name: &'static str,
    /// Methods it answers.
    pub methods: &'static [Method],
    /// Paths it answers; parts in braces.
    pub paths: &'static [&'static str],
    /// Groups of parameters beside the ones every route takes ([`crate::parameter_tables`] lists
    /// both).
    pub parameters: &'static [&'static [Parameter]],
    /// Whether it is known only to be refused by name.
    pub is_refused: bool,
}

/// A URI parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// What becomes of it.
    pub handling: ParameterEffect,
    /// What it is to answers that are kept.
    pub in_key: KeyPart,
}

/// A header that a route takes beside those of HTTP.
pub(crate) struct Header {
    /// The routes that take it, by name.
    pub(crate) routes: &'static [&'static str],
    /// Its names; the first of them that is given counts.
    pub(crate) names: &'static [&'static str],
    /// What it does.
    pub(crate) effect: &'static str,
}

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterEffect {
    /// It does what the dialect says.
    Honoured,
    /// It is accepted, changes nothing, and the answer says so in a `Warning` header; why.
    NoEffect(&'static str),
    /// The request is refused; what is not supported.
    Refused(&'static str),
}

/// What a parameter is to the key of an answer that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPart {
    /// Nobody has said it: its route's answers are not kept.
    Undecided,
    /// It is read into the search or its targets, which are in the key.
    Request,
    /// It shapes the answer: its value is in the key.
    Form,
    /// A whole answer is the same, whatever it says.
    Neutral,
    /// Answers to requests that give it are for them alone.
    Alone,
}

impl Parameter {
    /// Returns a parameter that does what the dialect says.
    pub(crate) const fn honoured(name: &'static str) -> Self {
        Self {
            name,
            handling: ParameterEffect::Honoured,
            in_key: KeyPart::Undecided,
        }
    }

    /// Returns a parameter that changes nothing because of `why`.
    pub(crate) const fn no_effect(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            handling: ParameterEffect::NoEffect(why),
            in_key: KeyPart::Neutral,
        }
    }

    /// Returns a parameter of a feature that is not there.
    pub(crate) const fn refused(name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            handling: ParameterEffect::Refused(what),
            in_key: KeyPart::Neutral,
        }
    }

    /// Returns it as one that is read into the search or its targets.
    pub(crate) const fn in_request(self) -> Self {
        self.part(KeyPart::Request)
    }

    /// Returns it as one that shapes the answer.
    pub(crate) const fn in_form(self) -> Self {
        self.part(KeyPart::Form)
    }

    /// Returns it as one that changes nothing of a whole answer.
    pub(crate) const fn neutral(self) -> Self {
        self.part(KeyPart::Neutral)
    }

    /// Returns it as one whose answers are not kept.
    pub(crate) const fn alone(self) -> Self {
        self.part(KeyPart::Alone)
    }

    const fn part(self, in_key: KeyPart) -> Self {
        Self { in_key, ..self }
    }
}

impl AsRef<Self> for Route {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Route {
    /// Returns every parameter of the route, the common ones last.
    pub fn all_parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        let own = self.parameters.iter().copied().flatten();
        own.chain(crate::parameters::groups::COMMON)
    }

    /// Returns the parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.all_parameters()
            .find(|parameter| parameter.name == name)
    }
}
