//! Lists as text, in headers.

/// One header that holds a list: quotes where an item holds a comma or a quote.
pub(super) fn join(items: &[String]) -> String {
    let quoted = items.iter().map(|item| match item.contains(['"', ',']) && !is_http_date(item) {
        true => format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")),
        false => item.clone(),
    });
    quoted.collect::<Vec<_>>().join(", ")
}

/// The items of a header that holds a list; HTTP dates keep their comma.
pub(super) fn split(header: &str) -> Vec<String> {
    if header.is_empty() {
        return Vec::new();
    }
    let mut items: Vec<String> = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = header.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => item.extend(chars.next()),
            ',' if !quoted && !is_weekday(item.trim()) => items.push(take(&mut item)),
            c => item.push(c),
        }
    }
    items.push(take(&mut item));
    items
}

fn take(item: &mut String) -> String {
    std::mem::take(item).trim().to_owned()
}

fn is_http_date(text: &str) -> bool {
    text.split_once(',').is_some_and(|(day, _)| is_weekday(day)) && text.ends_with("GMT")
}

fn is_weekday(text: &str) -> bool {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&text)
}
