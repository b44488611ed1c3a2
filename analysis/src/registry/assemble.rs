//! Definitions to chains: names are looked up in the index's settings, then among the types that
//! need no settings.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    builtin,
    part::{Definitions, NameOrDefinition, Origin},
};
use crate::{
    analyzer::{Analyzer, Chain, NamedBlock, POSITION_INCREMENT_GAP},
    char_filter::{self, CharFilter},
    error::{AnalysisError, Component},
    filter::{self, FilterContext, Multiplexer},
    limits::Limits,
    normalizer::Normalizer,
    settings::{Params, UnusedSettings},
    tokenizer::{self, CharTokenizer, MAX_TOKEN_LENGTH},
};

/// An index's definitions, by kind.
#[derive(Debug)]
pub(super) struct Assembly<'a> {
    sections: BTreeMap<Component, &'a Definitions>,
    limits: &'a Limits,
    ignored: UnusedSettings,
}

impl<'a> Assembly<'a> {
    /// Sorts out the settings; null stands for none.
    pub(super) fn new(analysis: &'a Value, limits: &'a Limits) -> Result<Self, AnalysisError> {
        let mut sections = BTreeMap::new();
        if !analysis.is_null() && !analysis.is_object() {
            return Err(bad_section("analysis", "must be an object"));
        }
        for (key, section) in analysis.as_object().into_iter().flatten() {
            let Some(component) = component(key) else {
                return Err(bad_section(key, "is no kind of analysis component"));
            };
            let Some(definitions) = section.as_object() else {
                return Err(bad_section(key, "must be an object"));
            };
            if definitions.len() > limits.max_definitions {
                let reason = format!("may hold at most {} definitions", limits.max_definitions);
                return Err(bad_section(key, &reason));
            }
            sections.insert(component, definitions);
        }
        Ok(Self {
            sections,
            limits,
            ignored: UnusedSettings::default(),
        })
    }

    /// Returns the settings that no part built so far has read, each as a sentence.
    pub(super) fn ignored(self) -> Vec<String> {
        self.ignored.into_inner().into_iter().collect()
    }

    fn definitions(&self, component: Component) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let section = self.sections.get(&component).copied();
        section
            .into_iter()
            .flatten()
            .map(|(name, definition)| (name.as_str(), definition))
    }

    /// Builds each part by itself, so that a broken one is refused though nothing uses it.
    pub(super) fn check_parts(&self) -> Result<(), AnalysisError> {
        let plain = Chain {
            char_filters: Vec::new(),
            tokenizer: NamedBlock {
                name: "whitespace".to_owned(),
                part: Arc::new(CharTokenizer::whitespace(MAX_TOKEN_LENGTH)),
            },
            filters: Vec::new(),
        };
        for (name, _) in self.definitions(Component::CharFilter) {
            self.char_filter(NameOrDefinition::Name(name), Origin::Definition(name))?;
        }
        for (name, _) in self.definitions(Component::Tokenizer) {
            self.tokenizer(NameOrDefinition::Name(name), Origin::Definition(name))?;
        }
        for (name, _) in self.definitions(Component::Filter) {
            self.filter(
                NameOrDefinition::Name(name),
                Origin::Definition(name),
                &plain,
            )?;
        }
        Ok(())
    }

    /// Builds all analyzers.
    pub(super) fn analyzers(&self) -> Result<BTreeMap<String, Analyzer>, AnalysisError> {
        self.definitions(Component::Analyzer)
            .map(|(name, definition)| Ok((name.to_owned(), self.analyzer(name, definition)?)))
            .collect()
    }

    fn analyzer(&self, name: &str, definition: &Value) -> Result<Analyzer, AnalysisError> {
        let map = object(Component::Analyzer, name, definition)?;
        let params = Params::new(Component::Analyzer, name, Some(map));
        let gap = params.count("position_increment_gap", POSITION_INCREMENT_GAP as usize)?;
        let gap = u32::try_from(gap).unwrap_or(u32::MAX);
        let most = self.limits.max_position_increment_gap;
        if gap > most {
            let reason = format!("must be at most [{most}], but was [{gap}]");
            return Err(params.bad("position_increment_gap", reason));
        }
        let tokenizer = params.text("tokenizer")?;
        let kind = match (params.text("type")?, &tokenizer) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "custom".to_owned(),
            (None, None) => {
                return Err(AnalysisError::MissingTokenizer {
                    name: name.to_owned(),
                });
            }
        };
        if kind != "custom" {
            let chain =
                builtin::chain(&kind, &params)?.ok_or_else(|| unknown_type(&params, &kind))?;
            params.finish(&self.ignored)?;
            return Ok(Analyzer::built_in(name, chain).with_gap(gap));
        }
        let Some(tokenizer) = tokenizer else {
            return Err(AnalysisError::IllegalArgument(format!(
                "Custom Analyzer [{name}] must be configured with a tokenizer"
            )));
        };
        let char_filters = params.list("char_filter")?.unwrap_or_default();
        let filters = params.list("filter")?.unwrap_or_default();
        params.finish(&self.ignored)?;
        let chain = self.chain(
            Origin::Definition(name),
            NameOrDefinition::Name(&tokenizer),
            &names(&char_filters),
            &names(&filters),
        )?;
        Ok(Analyzer::custom(name, chain, gap))
    }

    /// Builds all normalizers.
    pub(super) fn normalizers(&self) -> Result<BTreeMap<String, Normalizer>, AnalysisError> {
        self.definitions(Component::Normalizer)
            .map(|(name, definition)| Ok((name.to_owned(), self.normalizer(name, definition)?)))
            .collect()
    }

    fn normalizer(&self, name: &str, definition: &Value) -> Result<Normalizer, AnalysisError> {
        let map = object(Component::Normalizer, name, definition)?;
        let params = Params::new(Component::Normalizer, name, Some(map));
        match params.text("type")?.as_deref() {
            None | Some("custom") => {}
            Some("lowercase") => {
                params.finish(&self.ignored)?;
                return Ok(builtin::lowercase(name));
            }
            Some(kind) => return Err(unknown_type(&params, kind)),
        }
        if params.get("tokenizer").is_some() {
            return Err(AnalysisError::IllegalArgument(format!(
                "Custom normalizer [{name}] cannot configure a tokenizer"
            )));
        }
        let char_filters = params.list("char_filter")?.unwrap_or_default();
        let filters = params.list("filter")?.unwrap_or_default();
        params.finish(&self.ignored)?;
        let chain = self.chain(
            Origin::Definition(name),
            NameOrDefinition::Name("keyword"),
            &names(&char_filters),
            &names(&filters),
        )?;
        let may_not = |component, part: &str| AnalysisError::NotNormalizing {
            normalizer: name.to_owned(),
            component,
            name: part.to_owned(),
        };
        if let Some(part) = chain
            .char_filters
            .iter()
            .find(|part| !part.part.is_normalizing())
        {
            return Err(may_not(Component::CharFilter, &part.name));
        }
        if let Some(part) = chain
            .filters
            .iter()
            .find(|part| !part.part.is_normalizing())
        {
            return Err(may_not(Component::Filter, &part.name));
        }
        Ok(Normalizer::new(name, chain.char_filters, chain.filters))
    }

    /// Builds a chain out of its parts; each filter sees the chain before it.
    pub(super) fn chain(
        &self,
        origin: Origin<'_>,
        tokenizer: NameOrDefinition<'_>,
        char_filters: &[NameOrDefinition<'_>],
        filters: &[NameOrDefinition<'_>],
    ) -> Result<Chain, AnalysisError> {
        let num_parts = char_filters.len() + filters.len();
        let most = self.limits.max_parts;
        if num_parts > most {
            return Err(AnalysisError::IllegalArgument(format!(
                "{origin} has {num_parts} filters, at most {most} are allowed"
            )));
        }
        let mut chain = Chain {
            char_filters: char_filters
                .iter()
                .map(|part| self.char_filter(*part, origin))
                .collect::<Result<_, _>>()?,
            tokenizer: self.tokenizer(tokenizer, origin)?,
            filters: Vec::with_capacity(filters.len()),
        };
        for part in filters {
            let filter = self.filter(*part, origin, &chain)?;
            chain.filters.push(filter);
        }
        let (growth, most) = (chain.growth(), self.limits.max_growth);
        if growth > most {
            return Err(AnalysisError::IllegalArgument(format!(
                "{origin} can make {growth} bytes of one, at most {most} are allowed"
            )));
        }
        Ok(chain)
    }

    fn tokenizer(
        &self,
        part: NameOrDefinition<'_>,
        origin: Origin<'_>,
    ) -> Result<NamedBlock<Arc<dyn tokenizer::Tokenizer>>, AnalysisError> {
        self.part(Component::Tokenizer, part, origin, |kind, params| {
            tokenizer::build(kind, params, self.limits)
        })
    }

    fn char_filter(
        &self,
        part: NameOrDefinition<'_>,
        origin: Origin<'_>,
    ) -> Result<NamedBlock<Arc<dyn CharFilter>>, AnalysisError> {
        self.part(Component::CharFilter, part, origin, char_filter::build)
    }

    fn filter(
        &self,
        part: NameOrDefinition<'_>,
        origin: Origin<'_>,
        preceding: &Chain,
    ) -> Result<NamedBlock<filter::Filter>, AnalysisError> {
        let context = FilterContext {
            limits: self.limits,
            preceding,
        };
        self.part(Component::Filter, part, origin, |kind, params| match kind {
            "multiplexer" => Ok(Some(self.multiplexer(params, origin, context)?)),
            _ => filter::build(kind, params, context),
        })
    }

    /// Builds a `multiplexer`, whose chains name other filters.
    fn multiplexer(
        &self,
        params: &Params<'_>,
        origin: Origin<'_>,
        context: FilterContext<'_>,
    ) -> Result<filter::Filter, AnalysisError> {
        let Some(declared) = params.list("filters")? else {
            return Err(AnalysisError::IllegalArgument(
                "multiplexer requires [filters] to be configured".to_owned(),
            ));
        };
        let mut chains = Vec::with_capacity(declared.len());
        for names in &declared {
            // Each filter of a chain sees those before it, as one of an analyzer does.
            let mut preceding = context.preceding.clone();
            let names = names.split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                let context = FilterContext {
                    preceding: &preceding,
                    ..context
                };
                let part = NameOrDefinition::Name(name);
                let build = |kind: &str, part: &Params<'_>| match kind {
                    "multiplexer" => {
                        let reason = format!("may not name another multiplexer: [{}]", part.name);
                        Err(params.bad("filters", reason))
                    }
                    _ => filter::build(kind, part, context),
                };
                let filter = self.part(Component::Filter, part, origin, build)?;
                preceding.filters.push(filter);
            }
            let own = preceding.filters.split_off(context.preceding.filters.len());
            chains.push(own.into_iter().map(|filter| filter.part).collect());
        }
        if chains.is_empty() || chains.iter().any(Vec::is_empty) {
            return Err(params.bad("filters", "must name a filter in each entry"));
        }
        Ok(filter::Filter::list(Multiplexer {
            chains,
            preserves_original: params.flag("preserve_original", true)?,
        }))
    }

    /// Builds one part: an inline definition, one of the index, or a type without settings.
    fn part<T>(
        &self,
        component: Component,
        part: NameOrDefinition<'_>,
        origin: Origin<'_>,
        build: impl Fn(&str, &Params<'_>) -> Result<Option<T>, AnalysisError>,
    ) -> Result<NamedBlock<T>, AnalysisError> {
        let name = match part {
            NameOrDefinition::Name(name) => name,
            NameOrDefinition::Definition(map) => {
                let Some(kind) = map.get("type").and_then(Value::as_str) else {
                    return Err(AnalysisError::IllegalArgument(format!(
                        "Missing [type] setting for anonymous {component}: {}",
                        Value::Object(map.clone())
                    )));
                };
                let name = format!("__anonymous__{kind}");
                let params = Params::new(component, &name, Some(map));
                let not_found = || Origin::AdHoc.not_found(component, kind);
                let part = build(kind, &params)?.ok_or_else(not_found)?;
                params.finish(&self.ignored)?;
                return Ok(NamedBlock { name, part });
            }
        };
        let defined = self
            .sections
            .get(&component)
            .and_then(|section| section.get(name));
        let part = match defined {
            Some(definition) => {
                let map = object(component, name, definition)?;
                let params = Params::new(component, name, Some(map));
                let kind = params
                    .text("type")?
                    .ok_or_else(|| AnalysisError::MissingType {
                        component,
                        name: name.to_owned(),
                    })?;
                let part = build(&kind, &params)?.ok_or_else(|| unknown_type(&params, &kind))?;
                params.finish(&self.ignored)?;
                part
            }
            None => build(name, &Params::new(component, name, None))?
                .ok_or_else(|| origin.not_found(component, name))?,
        };
        Ok(NamedBlock {
            name: name.to_owned(),
            part,
        })
    }
}

fn names(names: &[String]) -> Vec<NameOrDefinition<'_>> {
    names
        .iter()
        .map(|name| NameOrDefinition::Name(name))
        .collect()
}

fn component(key: &str) -> Option<Component> {
    use Component::{Analyzer, CharFilter, Filter, Normalizer, Tokenizer};
    [Analyzer, Tokenizer, Filter, CharFilter, Normalizer]
        .into_iter()
        .find(|component| component.as_str() == key)
}

fn bad_section(key: &str, reason: &str) -> AnalysisError {
    AnalysisError::IllegalArgument(format!("analysis settings: [{key}] {reason}"))
}

fn unknown_type(params: &Params<'_>, kind: &str) -> AnalysisError {
    AnalysisError::UnknownType {
        component: params.component,
        kind: kind.to_owned(),
        name: params.name.to_owned(),
    }
}

fn object<'v>(
    component: Component,
    name: &str,
    definition: &'v Value,
) -> Result<&'v Definitions, AnalysisError> {
    definition.as_object().ok_or_else(|| {
        AnalysisError::IllegalArgument(format!("{component} [{name}] must be an object"))
    })
}
