//! What a folder says of itself to people, in both languages.

use super::About;

/// What the files are, and how they are checked.
const FILES: &str = "\
Files / 文件
  records.csv, records.jsonl   one row a message, with its verdict, outcome, receipts and replies; replies themselves
                               每条短信一行：判定、结果、状态报告、用户回复；用户回复另列
  entries.jsonl                the journal's entries as they are kept
                               日志原始条目
  consents.jsonl               what the subscribers concerned agreed to and refused, every event
                               相关用户的同意与拒收历史，全部事件
  evidence/                    the evidence files, each named after its SHA-256
                               证据文件，以其 SHA-256 命名
  register.json                senders, ports and providers concerned, as registered when this was made
                               相关发送方、端口与服务商的登记资料（生成时）
  heads/                       the signed heads of the journal's days concerned, where the days are over
                               相关日期的日志签名摘要（当日结束后产生）
  report.html, report.json     the account of the complaint (dossiers only)
                               投诉报告（仅投诉材料）
  manifest.json                what this folder holds, for programs
                               内容清单（供程序使用）
  SHA256SUMS, SHA256SUMS.sig   the hash of every other file, and the signature of these hashes (Ed25519)
                               其余所有文件的哈希，以及对哈希清单的签名（Ed25519）
  public.pem                   the public key / 公钥

To check it, in this folder (GNU coreutils; OpenSSL 3 or later):
核验方法，在本目录下执行（GNU coreutils；OpenSSL 3 及以上）：

  sha256sum --strict -c SHA256SUMS
  openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig

Both must succeed. The key must be the operator's, which this folder cannot prove by itself: compare it with the key
that came to you another way. Files that are not in SHA256SUMS (but for it and its signature) do not belong here.
两条命令都必须成功。公钥是否属于运营者无法由本目录自身证明：请与通过其他途径获得的公钥比对。
除 SHA256SUMS 及其签名外，未列入 SHA256SUMS 的文件不属于本材料。

";

pub(super) fn text(about: &About, public_key: &str) -> String {
    let query: String = about.query.iter().map(|(name, value)| format!("  {name}: {value}\n")).collect();
    let counts: String = about.counts.iter().map(|(what, count)| format!("  {what}: {count}\n")).collect();
    let wanting: String = about.wanting.iter().map(|what| format!("  {what}\n")).collect();
    let wanting = if wanting.is_empty() { "  -\n".to_owned() } else { wanting };
    let (title, title_zh) = match about.kind {
        "dossier" => ("Dossier of a complaint", "投诉材料"),
        _ => ("Export of send records", "短信发送记录导出"),
    };
    let (made, by, zone) = (about.made, &about.by, &about.time_zone);
    let (numbers, numbers_zh) = match about.whole {
        true => ("whole", "完整"),
        false => (
            "masked; the entries as they are kept and the evidence files, which cannot be masked, are left out",
            "已脱敏；无法脱敏的原始条目和证据文件未包含",
        ),
    };
    format!(
        "{title} / {title_zh}
made / 生成时间: {made} (UTC), by / 操作人 {by}; local times / 本地时区: {zone}
subscribers' numbers: {numbers}
用户号码: {numbers_zh}

Asked for / 查询条件
{query}
Holds / 内容
{counts}
Wanting / 缺少
{wanting}
{FILES}
  public key / 公钥: {public_key}
"
    )
}
