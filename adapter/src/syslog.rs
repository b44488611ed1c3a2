//! Syslog, new (RFC 5424) and old (RFC 3164).

use chrono::{Datelike, Utc};
use serde_json::{Map, Value};
use syslog_loose::{ProcId, SyslogFacility, SyslogSeverity, Variant, parse_message_with_year_tz};

use crate::level::Level;
use crate::record::Record;

/// Reads a line that begins with a priority, `<34>…`; without one a line is syslog only where a header of the old
/// format stands in front.
pub(crate) fn read(line: &str) -> Option<Record> {
    let has_priority = line.starts_with('<');
    let now = Utc::now();
    // The old format has no year: a month that is still to come was last year's.
    let year = |(month, ..): syslog_loose::IncompleteDate| {
        if month > now.month() {
            now.year() - 1
        } else {
            now.year()
        }
    };
    let message = parse_message_with_year_tz(line, year, None::<Utc>, Variant::Either);
    let has_header =
        message.timestamp.is_some() && message.hostname.is_some() && message.appname.is_some();
    if !(has_priority && message.severity.is_some() || has_header) {
        return None;
    }
    let mut record = Record {
        time: message.timestamp.map(|time| time.to_utc()),
        level: message.severity.map(level_of),
        message: message.msg.to_owned(),
        format: "syslog",
        ..Record::default()
    };
    record.add("host.hostname", message.hostname.unwrap_or_default());
    record.add("process.name", message.appname.unwrap_or_default());
    match message.procid {
        Some(ProcId::PID(pid)) => {
            record.fields.insert("process.pid".to_owned(), pid.into());
        }
        Some(ProcId::Name(name)) => record.add("process.entity_id", name),
        None => {}
    }
    if let Some(facility) = message.facility {
        record.add("log.syslog.facility.name", SyslogFacility::as_str(facility));
    }
    record.add("event.code", message.msgid.unwrap_or_default());
    for element in message.structured_data {
        let params: Map<String, Value> = element
            .params()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value)))
            .collect();
        record.labels.insert(element.id.to_owned(), params.into());
    }
    Some(record)
}

fn level_of(severity: SyslogSeverity) -> Level {
    match severity {
        SyslogSeverity::SEV_EMERG | SyslogSeverity::SEV_ALERT | SyslogSeverity::SEV_CRIT => {
            Level::Fatal
        }
        SyslogSeverity::SEV_ERR => Level::Error,
        SyslogSeverity::SEV_WARNING => Level::Warn,
        SyslogSeverity::SEV_NOTICE | SyslogSeverity::SEV_INFO => Level::Info,
        SyslogSeverity::SEV_DEBUG => Level::Debug,
    }
}
