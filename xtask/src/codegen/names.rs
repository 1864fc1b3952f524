//! From the models' names to Rust's.

/// `StreamARN` to `stream_arn`, `MaxRecordSizeInKiB` to `max_record_size_in_kib`.
pub(super) fn snake(name: &str) -> String {
    let name = name
        .replace("MiB", "Mib")
        .replace("KiB", "Kib")
        .replace("MBs", "Mbs")
        .replace("ARNs", "Arns");
    let name = name.replace("IDs", "Ids").replace("CIDRs", "Cidrs").replace("VPCs", "Vpcs");
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                !b.is_ascii_uppercase() || after.is_some_and(|a| a.is_ascii_lowercase())
            });
        if (starts_word || !c.is_ascii_alphanumeric()) && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        }
    }
    out
}

/// A field or method: [`snake`], and raw where it is a keyword.
pub(super) fn field(name: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "as", "box", "const", "enum", "fn", "for", "if", "impl", "in", "loop", "match", "mod",
        "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "use", "where",
    ];
    let snake = snake(name);
    if KEYWORDS.contains(&snake.as_str()) { format!("r#{snake}") } else { snake }
}

/// A type: the shape's name with a capital, and out of the way of what Rust and our macros name.
pub(super) fn type_name(shape: &str) -> String {
    const TAKEN: &[&str] = &[
        "Box", "Bytes", "BTreeMap", "Call", "Default", "Err", "Events", "None", "Ok", "Op",
        "Option", "Request", "Result", "Send", "Some", "Streamed", "String", "Sync", "Time", "Vec",
    ];
    let name: String = shape.split(|c: char| !c.is_ascii_alphanumeric()).map(capital).collect();
    if TAKEN.contains(&name.as_str()) { format!("{name}Shape") } else { name }
}

/// `AT_SEQUENCE_NUMBER` to `AtSequenceNumber`, `aws:kms` to `AwsKms`, `IncomingBytes` stays.
pub(super) fn variant(value: &str) -> String {
    let words = value.split(|c: char| !c.is_ascii_alphanumeric());
    let name: String = words
        .map(|word| match word.chars().any(|c| c.is_ascii_lowercase()) {
            true => capital(word),
            false => capital(&word.to_ascii_lowercase()),
        })
        .collect();
    match name.chars().next() {
        None => "Empty".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("V{name}"),
        _ if name == "Other" || name == "Self" => format!("{name}Value"),
        _ => name,
    }
}

/// `ResourceNotFoundException` to `resource_not_found`.
pub(super) fn error(shape: &str) -> String {
    let bare = shape.strip_suffix("Exception").or(shape.strip_suffix("Error")).unwrap_or(shape);
    field(if bare.is_empty() { shape } else { bare })
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// A string literal, raw where that reads better.
pub(super) fn literal(text: &str) -> String {
    match (text.contains('\\'), text.contains('"')) {
        (true, false) => format!("r\"{text}\""),
        (true, true) => format!("r#\"{text}\"#"),
        _ => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_like_rust() {
        for (name, expected) in [
            ("StreamARN", "stream_arn"),
            ("WarmThroughputMiBps", "warm_throughput_mibps"),
            ("S3TablesDestinationConfiguration", "s3_tables_destination_configuration"),
            ("KMSKeyId", "kms_key_id"),
            ("message", "message"),
        ] {
            assert_eq!(snake(name), expected);
        }
        assert_eq!(field("Type"), "r#type");
        assert_eq!(variant("AT_SEQUENCE_NUMBER"), "AtSequenceNumber");
        assert_eq!(variant("IncomingBytes"), "IncomingBytes");
        assert_eq!(variant("5_MINUTES"), "V5Minutes");
        assert_eq!(error("KMSOptInRequired"), "kms_opt_in_required");
    }
}
