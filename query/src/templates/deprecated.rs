//! Templates that are marked as deprecated, and the warnings that their use brings.
//!
//! Source: Elasticsearch, `MetadataIndexTemplateService`, for the parts of an index template.

use gleaner_model::Templates;
use gleaner_model::template::IndexTemplate;

use super::index_template_of;

/// Returns a warning for each deprecated component that the index template `name` uses; one that is deprecated itself
/// may use them.
pub fn deprecated_parts(
    name: &str,
    template: &IndexTemplate,
    templates: &Templates,
) -> Vec<String> {
    if template.deprecated == Some(true) {
        return Vec::new();
    }
    let is_deprecated = |part: &&String| {
        let component = templates.components.get(*part);
        component.is_some_and(|component| component.deprecated == Some(true))
    };
    let parts = template.composed_of.iter().flatten().filter(is_deprecated);
    parts
        .map(|part| format!("index template [{name}] uses deprecated component template [{part}]"))
        .collect()
}

/// Returns a warning where the index, or the data stream, `name` is made by a deprecated index template.
pub fn deprecated_use(name: &str, templates: &Templates) -> Option<String> {
    let (of, template) = index_template_of(templates, name)?;
    (template.deprecated == Some(true))
        .then(|| format!("[{name}] is made by the deprecated index template [{of}]"))
}

#[cfg(test)]
mod tests {
    use gleaner_model::template::ComponentTemplate;

    use super::*;

    #[test]
    fn what_is_deprecated_is_named_unless_its_user_is_deprecated_too() {
        let mut templates = Templates::default();
        for (name, deprecated) in [("old", Some(true)), ("new", None)] {
            let component = ComponentTemplate {
                deprecated,
                ..ComponentTemplate::default()
            };
            templates.components.insert(name.to_owned(), component);
        }
        let mut template = IndexTemplate {
            index_patterns: vec!["logs-*".to_owned()],
            composed_of: Some(vec!["new".to_owned(), "old".to_owned(), "none".to_owned()]),
            ..IndexTemplate::default()
        };
        assert_eq!(
            deprecated_parts("logs", &template, &templates),
            ["index template [logs] uses deprecated component template [old]"]
        );
        templates.index.insert("logs".to_owned(), template.clone());
        assert_eq!(deprecated_use("logs-1", &templates), None);
        template.deprecated = Some(true);
        assert!(deprecated_parts("logs", &template, &templates).is_empty());
        templates.index.insert("logs".to_owned(), template);
        let warning = "[logs-1] is made by the deprecated index template [logs]";
        let used = deprecated_use("logs-1", &templates);
        assert_eq!(used.as_deref(), Some(warning));
        assert_eq!(deprecated_use("other", &templates), None);
    }
}
