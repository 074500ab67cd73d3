//! Findings in Chinese. They stand beside their enum, so that a new one without a sentence does not compile.

use crate::operation::Note;
use crate::operation::item::{ProgressReport, RunReport, SkippedReport};
use crate::run::{Reason, Verdict};

use super::Finding;

impl Finding {
    /// Returns what `Display` says, in Chinese. Texts that come from elsewhere, such as causes of failures, stay as they are.
    ///
    /// ```
    /// use elasticjob::operation::Finding;
    ///
    /// assert_eq!(Finding::NoInstance.in_chinese(), "没有运行实例");
    /// ```
    #[must_use]
    pub fn in_chinese(&self) -> String {
        match self {
            Self::NoConfiguration => "注册中心没有它的配置".to_owned(),
            Self::InvalidConfiguration { problem } => format!("配置无法用于运行任何作业：{problem}"),
            Self::NoInstance => "没有运行实例".to_owned(),
            Self::Paused { note } => format!("作业已暂停{}，不会启动任何分片", said(note.as_ref())),
            Self::AllServersDisabled => "所有有运行实例的服务器都已停用".to_owned(),
            Self::ServerDisabled { server, note } => format!("服务器 {server} 已停用{}", said(note.as_ref())),
            Self::ServerUnclear { server } => {
                format!("服务器 {server} 的开关既不是 ENABLED 也不是 DISABLED，因此不在其上运行")
            }
            Self::NeverFires { cron } => format!("表达式 `{cron}` 不再有触发时间"),
            Self::Resharding { is_under_way: true } => "正在重新分片，暂不启动".to_owned(),
            Self::Resharding { is_under_way: false } => "等待主节点重新分片，在此之前不启动".to_owned(),
            Self::NoLeader => "当前没有主节点".to_owned(),
            Self::TriggerWaits {
                instance,
                is_present: true,
            } => format!("{instance} 已收到触发，尚未开始"),
            Self::TriggerWaits { instance, .. } => format!("{instance} 有一个触发，但该实例已不在"),
            Self::StandsBy { instance, reason } => format!("{instance} 不承担分片：{reason}"),
            Self::Outdated { instance, reason } => {
                format!("{instance} 仍按先前的配置运行，因为无法使用当前配置：{reason}")
            }
            Self::OtherwiseConfigured { instances, differences } => format!(
                "以注册中心的配置为准，它与 {} 的应用配置不同：{differences}",
                instances.join("、")
            ),
            Self::Hindered { instance, problem } => format!("{instance} 受阻：{problem}"),
            Self::Draining { instance } => format!("{instance} 正在排空，不再获得分片"),
            Self::ItemDisabled { note } => format!("分片已停用{}", said(note.as_ref())),
            Self::NoOwner => "尚未分配给任何实例，主节点即将分片".to_owned(),
            Self::Unassigned => "分片策略没有把它分配给任何实例".to_owned(),
            Self::OwnerGone { instance } => format!("分配给了 {instance}，但该实例已不在"),
            Self::OwnerDisabled { instance } => format!("属于 {instance}，其服务器已停用"),
            Self::Moving => "等待当前运行结束后转移到其他实例".to_owned(),
            Self::DeadMark { instance } => format!("被已不在的 {instance} 标记为运行中，清除标记前不会运行"),
            Self::AwaitsTakeover => "等待从已宕机的实例接管".to_owned(),
            Self::Running { on, run } => {
                let on = on.as_ref().map_or_else(String::new, |on| format!("，在 {on} 上"));
                let run = run
                    .as_ref()
                    .map_or_else(String::new, |run| format!("，{}", of_run(run)));
                format!("正在运行{on}{run}")
            }
            Self::Progress { progress } => format!("进度：{}", of_progress(progress)),
            Self::RequestWaits => "已单独触发此分片，尚未开始".to_owned(),
            Self::Cancelling { note } => format!("正在取消运行{}", said(Some(note))),
            Self::Parked { run } => format!("运行它的实例接连宕机，本次已放弃：{}", of_run(run)),
            Self::NotSucceeded { run } => format!("最近一次运行未成功：{}", of_run(run)),
            Self::Skipped { times } => of_skipped(times),
            Self::Overdue { since, items } => format!("自 {since} 起，{items} 个分片既无运行记录，也无原因记录"),
            Self::OneOff => "没有调度计划，仅在触发时运行".to_owned(),
            Self::MisfireOff => "运行期间错过的触发时间不会补执行：`misfire` 已关闭".to_owned(),
            Self::MonitorExecutionOff => {
                "不标记运行状态，运行可能重叠，也不会被接管：`monitorExecution` 已关闭".to_owned()
            }
            Self::Waits { next } => format!("等待下次触发时间 {next}"),
        }
    }
}

/// Who said it, when and why.
fn said(note: Option<&Note>) -> String {
    let Some(note) = note else {
        return "（操作人未知）".to_owned();
    };
    let by = note.by.as_ref().map_or_else(String::new, |by| format!("，{by}"));
    let reason = note
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!("：{reason}"));
    format!("（自 {:.0}{by}{reason}）", note.at)
}

fn of_run(run: &RunReport) -> String {
    let due = run.due.map_or_else(String::new, |due| format!("触发时间 {due}，"));
    let verdict = run
        .verdict
        .map_or_else(String::new, |verdict| format!("，{}", of_verdict(verdict)));
    let cause = text_of(run.code, run.cause.as_deref()).map_or_else(String::new, |cause| format!("（{cause}）"));
    format!("{due}第 {} 次尝试，{}{verdict}{cause}", run.attempt, run.owner)
}

/// Returns the text of a reason of ours, or what the instance said.
fn text_of(code: Option<Reason>, said: Option<&str>) -> Option<&str> {
    let known = code.filter(|code| *code != Reason::Unknown);
    known.map(Reason::in_chinese).or(said)
}

fn of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "成功",
        Verdict::Failed => "失败",
        Verdict::Cancelled => "已取消",
        Verdict::Lost => "丢失",
        Verdict::Skipped => "已跳过",
        Verdict::Unknown => "结果未知",
    }
}

fn of_progress(progress: &ProgressReport) -> String {
    let percent = progress
        .percent
        .map_or_else(String::new, |percent| format!("{percent} % "));
    format!("{percent}{}（{} 秒前）", progress.text, progress.age_seconds)
}

fn of_skipped(times: &SkippedReport) -> String {
    let between = times.after.zip(times.before);
    let between = between.map_or_else(String::new, |(after, before)| format!("{after} 至 {before} 之间"));
    format!(
        "{between}有 {} 次触发时间未运行：{}",
        times.count,
        text_of(times.code, Some(&times.reason)).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_operator_time_and_reason() {
        let note = Note {
            at: "2026-03-01T10:00:00Z".parse().unwrap(),
            by: Some("alice".to_owned()),
            reason: Some("换盘".to_owned()),
            is_for_pause: false,
        };
        let finding = Finding::ItemDisabled { note: Some(note) };
        assert_eq!(
            finding.in_chinese(),
            "分片已停用（自 2026-03-01T10:00:00Z，alice：换盘）"
        );
        assert_eq!(
            Finding::ItemDisabled { note: None }.in_chinese(),
            "分片已停用（操作人未知）"
        );
    }
}
