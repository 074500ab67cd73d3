//! The configuration as YAML, in the form of the registry. Pure.

use elasticjob::configuration::job::JobConfig;

use crate::masks::{PROPS, Settings};

/// Writes settings as YAML. Texts are in quotes where YAML would take them for something else.
pub(crate) fn write(job: &str, settings: &Settings) -> String {
    let mut text = format!("jobName: {}\n", scalar(job));
    let (props, others): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| name.starts_with(PROPS));
    for (name, value) in others {
        if name == "jobListenerTypes" {
            text.push_str(&format!("{name}:\n"));
            for listener in value.split(',') {
                text.push_str(&format!("- {}\n", scalar(listener)));
            }
        } else if is_plain(value) {
            text.push_str(&format!("{name}: {value}\n"));
        } else {
            text.push_str(&format!("{name}: {}\n", scalar(value)));
        }
    }
    if !props.is_empty() {
        text.push_str("props:\n");
        for (name, value) in props {
            let key = name.strip_prefix(PROPS).unwrap_or(name);
            text.push_str(&format!("  {}: {}\n", scalar(key), scalar(value)));
        }
    }
    text
}

/// Returns whether a value is a number or a switch, which is written as it is.
fn is_plain(value: &str) -> bool {
    matches!(value, "true" | "false") || (value.parse::<i64>().is_ok() && !value.starts_with('+'))
}

/// Writes a text. JSON's texts are those of YAML.
fn scalar(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    let is_bare = text.chars().next().is_some_and(char::is_alphabetic)
        && text.chars().all(is_word)
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&&*text.to_lowercase());
    if is_bare {
        text.to_owned()
    } else {
        serde_json::to_string(text).expect("a text")
    }
}

/// Reads settings from YAML. An error says all that is wrong.
pub(super) fn read(job: &str, text: &str) -> Result<Settings, String> {
    let config = JobConfig::from_yaml(text).map_err(|errors| errors.to_string())?;
    let name = config.name().as_str();
    if name == job {
        Ok(config.settings())
    } else {
        Err(format!("jobName: it is `{name}`, and this is the job `{job}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let config = JobConfig::builder("备份: daily")
            .cron("0/5 * * * * ?")
            .sharding_total_count(2)
            .description("say \"no\": # 1\nand - more")
            .prop("sink.password", "******")
            .prop("flag", "true")
            .prop("number", "007")
            .build()
            .unwrap();
        let settings = config.settings();
        let text = write("备份: daily", &settings);
        assert_eq!(read("备份: daily", &text), Ok(settings), "{text}");
        assert!(read("other", &text).is_err());
        assert!(read("other", "jobName: [").is_err());
    }
}
