//! `_cat/tasks`: what is under way on this node.

use gleaner_root::tasks::TaskInfo;
use serde_json::Value;

use crate::render::units;
use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::address::split;
use crate::routes::tasks::{kind, listed, node};

const COLUMNS: &[Column] = &[
    Column::text("id", "id", "id of the task with the node").on_demand(),
    Column::text("action", "ac", "task action"),
    Column::text("task_id", "ti", "unique task id"),
    Column::text("parent_task_id", "pti", "parent task id"),
    Column::text("type", "ty", "task type"),
    Column::number("start_time", "start", "start time in ms"),
    Column::text("timestamp", "ts,hms,hhmmss", "start time in HH:MM:SS"),
    Column::number("running_time_ns", "", "running time ns").on_demand(),
    Column::text("running_time", "time", "running time"),
    Column::text("node_id", "ni", "unique node id").on_demand(),
    Column::text("ip", "i", "ip address"),
    Column::text("port", "po", "bound transport port").on_demand(),
    Column::text("node", "n", "node name"),
    Column::text("version", "v", "dialect version").on_demand(),
    Column::text("x_opaque_id", "x", "X-Opaque-ID header").on_demand(),
    Column::text("description", "desc", "task action").on_demand(),
];

pub(super) async fn table(request: Request) -> Answer {
    let tasks = listed(&request).await?;
    let node = node(&request);
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: tasks
            .iter()
            .map(|task| row(&request, task, &node))
            .collect(),
    }))
}

/// Returns the table of the rows of all nodes, each an object of all columns.
pub(crate) fn joined(rows: &Value) -> Table {
    let rows = rows.as_array().into_iter().flatten().map(|row| {
        let cell = |column: &Column| {
            let shown = row[column.name].as_str().map(str::to_owned);
            // What is shown with its unit is ordered by the number beside it.
            let ordered = match column.name {
                "running_time" => "running_time_ns",
                name => name,
            };
            let number = row[ordered].as_str().and_then(|text| text.parse().ok());
            match (shown, number) {
                (Some(shown), Some(number)) if column.is_number || ordered != column.name => {
                    Cell::quantity(shown, number)
                }
                (shown, _) => shown.into(),
            }
        };
        COLUMNS.iter().map(cell).collect()
    });
    Table {
        columns: COLUMNS,
        rows: rows.collect(),
    }
}

fn row(request: &Request, task: &TaskInfo, node: &str) -> Vec<Cell> {
    let options = &request.app.options;
    let (host, port) = split(&options.publish_address);
    let id = format!("{node}:{}", task.id);
    let parent = task.parent.map(|parent| format!("{node}:{parent}"));
    let running_ns = task.running.as_nanos() as u64;
    let running = units::time_text(task.running.as_millis() as u64);
    vec![
        id.as_str().into(),
        task.action.into(),
        id.as_str().into(),
        parent.as_deref().unwrap_or("-").into(),
        kind(task).into(),
        Cell::quantity(task.started_ms.to_string(), task.started_ms as f64),
        time_of_day(task.started_ms).into(),
        running_ns.into(),
        Cell::quantity(running, running_ns as f64),
        node.into(),
        host.into(),
        port.into(),
        options.node_name.as_str().into(),
        options.distribution.version().into(),
        task.opaque_id.as_deref().unwrap_or("-").into(),
        task.description.as_str().into(),
    ]
}

/// Returns hours, minutes and seconds of a moment, in UTC.
fn time_of_day(millis: i64) -> String {
    let seconds = millis.div_euclid(1_000).rem_euclid(86_400);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::parameters::Parameters;

    #[test]
    fn rows_of_several_nodes_are_one_table() {
        let row = |id: &str, ns: &str, text: &str| json!({"task_id": id, "running_time_ns": ns, "running_time": text});
        let rows = json!([row("a:1", "9000000", "9ms"), row("b:7", "2000000000", "2s")]);
        let parameters = Parameters::parse(Some("h=task_id,time&s=time:desc")).expect("good");
        let text = joined(&rows).to_text(&parameters).expect("a table");
        assert_eq!(text, "b:7 2s\na:1 9ms\n");
    }

    #[test]
    fn the_time_of_day_is_that_of_utc() {
        assert_eq!(time_of_day(0), "00:00:00");
        assert_eq!(time_of_day(86_400_000 + 3_723_999), "01:02:03");
        assert_eq!(time_of_day(-1), "23:59:59");
    }
}
