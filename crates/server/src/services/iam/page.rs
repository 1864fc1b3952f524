//! One page of a list: `Marker`, `MaxItems`, `IsTruncated`.

use millstream_base::limits::IAM_PAGE_DEFAULT;
use millstream_wire::ServiceError;

use super::errors;

/// What a page holds, and where the next one begins.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) is_truncated: Option<bool>,
    pub(super) marker: Option<String>,
}

/// The page after `marker` of items that are in the order of their names, which differ without
/// regard to case.
///
/// # Errors
/// A marker that none of our answers had.
pub(super) fn page<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> &str,
    marker: Option<&str>,
    max_items: Option<i32>,
) -> Result<Page<T>, ServiceError> {
    let after = marker.map(decode).transpose()?;
    let max = max_items.and_then(|max| usize::try_from(max).ok()).unwrap_or(IAM_PAGE_DEFAULT);
    let key = |item: &T| name(item).to_ascii_lowercase();
    let mut rest: Vec<T> = match after {
        None => items,
        Some(after) => items.into_iter().filter(|item| key(item) > after).collect(),
    };
    let is_truncated = rest.len() > max;
    rest.truncate(max);
    let marker = match rest.last() {
        Some(last) if is_truncated => Some(encode(&key(last))),
        _ => None,
    };
    Ok(Page { items: rest, is_truncated: Some(is_truncated), marker })
}

fn encode(name: &str) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(name)
}

fn decode(marker: &str) -> Result<String, ServiceError> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(marker.as_bytes());
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| errors::bad_marker(marker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_each_item_once() {
        let items: Vec<String> = ["Ada", "bob", "Cyd", "dan", "eve"].map(str::to_owned).to_vec();
        for max in 1..=6 {
            let mut seen = Vec::new();
            let mut marker = None;
            loop {
                let next = page(items.clone(), |i| i, marker.as_deref(), Some(max)).unwrap();
                seen.extend(next.items);
                assert_eq!(next.is_truncated, Some(next.marker.is_some()));
                marker = next.marker;
                if marker.is_none() {
                    break;
                }
            }
            assert_eq!(seen, items, "{max} at a time");
        }
    }

    #[test]
    fn strange_markers_are_refused() {
        assert!(page(vec!["a"], |i| i, Some("ä!"), None).is_err());
    }
}
