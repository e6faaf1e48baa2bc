//! Hostile and sloppy replies, and values that try to break out of a call.

use std::fmt::Write as _;

use proptest::prelude::*;
use tributary::protocol::error::{DecodeError, XmlReason};
use tributary::protocol::limits::Limits;
use tributary::protocol::soap::call::{envelope, escape_attribute, escape_text, headers};
use tributary::protocol::soap::fault::Fault;
use tributary::protocol::soap::position::{PositionKind, check_template_positions};
use tributary::protocol::soap::{self, Note, SoapOptions, SoapReply, Version};
use tributary::protocol::tree::Tree;
use tributary::protocol::url::{RenderedPath, target};
use tributary::protocol::xml;
use tributary::protocol::{graphql, json};

const V11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const V12: &str = "http://www.w3.org/2003/05/soap-envelope";

fn options() -> SoapOptions {
    SoapOptions {
        namespaces: vec![("erp".into(), "urn:erp".into())],
        lenient: false,
        many: vec!["Line".into()],
    }
}

fn wrap(version: &str, body: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"{version}\" xmlns:erp=\"urn:erp\" xmlns:x=\"urn:other\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n <e:Body>{body}</e:Body>\n</e:Envelope>"
    )
}

fn decode(text: &str) -> Result<SoapReply, DecodeError> {
    soap::decode(
        text.as_bytes(),
        Some("text/xml"),
        &options(),
        &Limits::default(),
    )
}

fn body(xml: &str) -> Tree {
    decode(&wrap(V11, xml)).unwrap().body.unwrap()
}

fn fault(version: &str, xml: &str) -> Fault {
    decode(&wrap(version, xml)).unwrap().body.unwrap_err()
}

#[track_caller]
fn check_body(xml: &str, expected: &str) {
    assert_eq!(
        String::from_utf8(json::encode(&body(xml))).unwrap(),
        expected
    );
}

#[track_caller]
fn check_xml_refused(text: &str, expected: XmlReason) {
    match decode(text) {
        Err(DecodeError::Xml { reason, .. }) => assert_eq!(reason, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_doctype_is_refused_wherever_it_stands() {
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]>";
    for head in [
        laughs,
        "<!DOCTYPE e SYSTEM \"http://evil.test/x.dtd\">",
        "<?xml version='1.0'?><!-- x --><!DOCTYPE e [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
    ] {
        check_xml_refused(
            &format!("{head}{}", wrap(V11, "<erp:A>&b;</erp:A>")),
            XmlReason::Doctype,
        );
    }
    check_xml_refused(&wrap(V11, "<!DOCTYPE x><erp:A/>"), XmlReason::Doctype);
}

#[test]
fn unknown_entities_and_forbidden_characters_are_refused() {
    check_xml_refused(&wrap(V11, "<erp:A>&nbsp;</erp:A>"), XmlReason::Entity);
    check_xml_refused(&wrap(V11, "<erp:A b=\"&x;\"/>"), XmlReason::Entity);
    for text in [
        "\u{0}", "\u{1}", "\u{FFFE}", "&#0;", "&#1;", "&#xFFFF;", "&#xD800;",
    ] {
        check_xml_refused(
            &wrap(V11, &format!("<erp:A>{text}</erp:A>")),
            XmlReason::Character,
        );
        check_xml_refused(
            &wrap(V11, &format!("<erp:A b=\"{text}\"/>")),
            XmlReason::Character,
        );
    }
}

#[test]
fn deep_wide_and_long_documents_stop_at_their_bound() {
    let deep = wrap(V11, &"<a>".repeat(100_000));
    assert_eq!(decode(&deep), Err(DecodeError::TooDeep { limit: 64 }));
    let nested = |levels: usize| {
        wrap(
            V11,
            &format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels)),
        )
    };
    assert!(decode(&nested(62)).is_ok());
    assert_eq!(decode(&nested(63)), Err(DecodeError::TooDeep { limit: 64 }));

    let attributes = |count: usize| {
        let mut tag = String::from("<a");
        for index in 0..count {
            write!(tag, " b{index}=\"\"").unwrap();
        }
        wrap(V11, &format!("{tag}/>"))
    };
    assert!(decode(&attributes(64)).is_ok());
    assert!(matches!(
        decode(&attributes(65)),
        Err(DecodeError::TooManyAttributes { limit: 64, .. })
    ));
    assert!(decode(&attributes(100_000)).is_err());

    let limits = Limits {
        bytes: 4096,
        text: 8,
        nodes: 4,
        ..Limits::default()
    };
    let read = |text: &str| soap::decode(text.as_bytes(), None, &options(), &limits).map(|_| ());
    assert_eq!(read(&wrap(V11, "<a>12345678</a>")), Ok(()));
    assert_eq!(
        read(&wrap(V11, "<a>1234&#53;678<![CDATA[9]]></a>")),
        Err(DecodeError::TextTooLong { limit: 8 })
    );
    assert_eq!(
        read(&wrap(V11, "<a b='123456789'/>")),
        Err(DecodeError::TextTooLong { limit: 8 })
    );
    assert_eq!(read(&wrap(V11, "<a/><a/>")), Ok(()));
    assert_eq!(
        read(&wrap(V11, "<a/><a/><a/>")),
        Err(DecodeError::TooManyNodes { limit: 4 })
    );
    assert_eq!(
        read(&wrap(V11, &" ".repeat(4096))),
        Err(DecodeError::TooLong { limit: 4096 })
    );
}

#[test]
fn encodings_are_converted_or_refused() {
    let text = wrap(V11, "<erp:A>é\u{1F600}</erp:A>");
    let expected = decode(&text).unwrap();
    let read = |bytes: &[u8], content_type: Option<&str>| {
        soap::decode(bytes, content_type, &options(), &Limits::default())
    };
    let little = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let big = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    };
    let marked = format!("\u{FEFF}{text}");
    for bytes in [
        little(&marked),
        big(&marked),
        little(&text),
        big(&text),
        marked.into_bytes(),
    ] {
        assert_eq!(read(&bytes, None).unwrap(), expected);
    }
    let latin: Vec<u8> = wrap(V11, "<erp:A>\u{e9}</erp:A>")
        .chars()
        .map(|character| character as u8)
        .collect();
    let a = |reply: SoapReply| {
        reply
            .body
            .unwrap()
            .get("A")
            .and_then(Tree::as_text)
            .map(|text| text.into_owned())
    };
    assert_eq!(
        a(read(&latin, Some("text/xml; charset=\"ISO-8859-1\"")).unwrap()).as_deref(),
        Some("é")
    );
    assert_eq!(read(&latin, Some("text/xml")), Err(DecodeError::Encoding));
    let declared = |name: &str| {
        [
            format!("<?xml version='1.0' encoding='{name}'?>").as_bytes(),
            &latin,
        ]
        .concat()
    };
    assert_eq!(
        a(read(&declared("iso-8859-1"), None).unwrap()).as_deref(),
        Some("é")
    );
    assert_eq!(
        read(&declared("iso-8859-1"), Some("text/xml;charset=utf-8")),
        Err(DecodeError::Encoding)
    );
    assert_eq!(
        read(&declared("windows-1251"), None),
        Err(DecodeError::Encoding)
    );
    assert_eq!(
        read(&declared("us-ascii"), None),
        Err(DecodeError::Encoding)
    );
    assert_eq!(read(b"\xFF\xFE<", None), Err(DecodeError::Encoding));
    assert_eq!(read(b"<html>\xE9</html>", None), Err(DecodeError::NotSoap));
}

#[test]
fn what_is_not_an_envelope_is_said_to_be_no_soap() {
    for text in [
        "<!DOCTYPE html><html><body>502 Bad Gateway<br></body></html>",
        "<html>\n<head><title>502</title></head><hr></html>",
        "",
        "upstream connect error",
        "{\"error\":1}",
        "<html>&nbsp;</html>",
        "<?xml version=\"1.0\"?><error/>",
        "<Envelope xmlns=\"urn:mine\"><Body/></Envelope>",
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"/>",
    ] {
        assert_eq!(decode(text), Err(DecodeError::NotSoap), "{text}");
    }
    check_xml_refused(&wrap(V11, "<a></b>"), XmlReason::Malformed);
    check_xml_refused("<Envelope><Body>", XmlReason::Malformed);
    check_xml_refused(&format!("{}<x/>", wrap(V11, "")), XmlReason::Root);
}

#[test]
fn faults_of_both_versions_are_read() {
    let old = fault(
        V11,
        "<e:Fault><faultcode>sf:INVALID_SESSION_ID</faultcode><faultstring> gone </faultstring>\
         <detail><x:Info>1</x:Info></detail></e:Fault>",
    );
    assert_eq!(
        (old.code.as_str(), old.reason.as_str()),
        ("INVALID_SESSION_ID", "gone")
    );
    assert_eq!(
        old.detail
            .get("{urn:other}Info")
            .and_then(Tree::as_text)
            .as_deref(),
        Some("1")
    );
    let new = fault(
        V12,
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>m:Busy</e:Value><e:Subcode>\
         <e:Value>m:Queue</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text xml:lang=\"de\">nein</e:Text>\
         <e:Text xml:lang=\"en\">no</e:Text></e:Reason></e:Fault>",
    );
    assert_eq!((new.code.as_str(), new.reason.as_str()), ("Sender", "no"));
    assert_eq!(new.subcodes, ["Busy", "Queue"]);
    assert_eq!(new.detail, Tree::Null);
    let stray = fault(
        V11,
        "<e:Fault><faultcode>soapenv:Server.userException</faultcode><faultstring/><erp:Problem>7</erp:Problem></e:Fault>",
    );
    assert_eq!(stray.code, "Server.userException");
    assert_eq!(
        stray
            .detail
            .get("Problem")
            .and_then(Tree::as_text)
            .as_deref(),
        Some("7")
    );
}

#[test]
fn nil_empty_absent_and_lists_are_told_apart() {
    check_body(
        "<erp:R> <erp:N xsi:nil=\"1\" a=\"x\"/> <erp:E/> <erp:W> \n</erp:W><erp:C><![CDATA[<&]]>&amp;<!-- c -->x</erp:C></erp:R>",
        r#"{"R":{"N":null,"E":"","W":" \n","C":"<&&x"}}"#,
    );
    check_body(
        "<erp:R><erp:Line>1</erp:Line><erp:O>a</erp:O><erp:T/><erp:O>b</erp:O></erp:R>",
        r#"{"R":{"Line":["1"],"O":["a","b"],"T":""}}"#,
    );
    check_body(
        "<erp:R><erp:M c=\"EUR\" xsi:type=\"erp:Money\">1.10</erp:M><erp:L xsi:type=\"xsd:string\">s</erp:L>\
         <erp:K xsi:type=\"erp:Contact\"><erp:A/></erp:K><erp:Q a=\"1\"/></erp:R>",
        r##"{"R":{"M":{"@c":"EUR","@type":"Money","#text":"1.10"},"L":"s","K":{"@type":"Contact","A":""},"Q":{"@a":"1","#text":""}}}"##,
    );
}

#[test]
fn names_of_other_namespaces_keep_them_unless_lenient() {
    let text = "<erp:R x:at=\"1\"><x:A>1</x:A><B>2</B><unbound:C>3</unbound:C></erp:R>";
    check_body(
        text,
        r#"{"R":{"@{urn:other}at":"1","{urn:other}A":"1","B":"2","C":"3"}}"#,
    );
    let lenient = SoapOptions {
        lenient: true,
        ..options()
    };
    let reply = soap::decode(
        wrap(V12, text).as_bytes(),
        None,
        &lenient,
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(reply.version, Version::V1_2);
    assert_eq!(
        json::encode(&reply.body.unwrap()),
        br#"{"R":{"@at":"1","A":"1","B":"2","C":"3"}}"#
    );
}

#[test]
fn header_blocks_are_kept() {
    let text = wrap(V11, "<erp:R/>").replacen(
        "<e:Body>",
        "<e:Header><erp:Limit e:mustUnderstand=\"0\">5</erp:Limit></e:Header><e:Body>",
        1,
    );
    assert_eq!(
        json::encode(&decode(&text).unwrap().header),
        br#"{"Limit":"5"}"#
    );
    assert_eq!(decode(&wrap(V11, "")).unwrap().header, Tree::Null);
}

#[test]
fn multi_references_are_resolved_and_cycles_cut() {
    check_body(
        "<erp:R><erp:A href=\"#1\"/><erp:B href=\"#1\"/><erp:C href=\"#none\"/></erp:R><multiRef id=\"1\"><v>x</v></multiRef>",
        r##"{"R":{"A":{"v":"x"},"B":{"v":"x"},"C":{"@href":"#none","#text":""}}}"##,
    );
    let twelve = "<erp:R xmlns:c=\"http://www.w3.org/2003/05/soap-encoding\"><erp:A c:id=\"i\">x</erp:A><erp:B c:ref=\"i\"/></erp:R>";
    let reply = decode(&wrap(V12, twelve)).unwrap();
    assert_eq!(
        json::encode(&reply.body.unwrap()),
        br#"{"R":{"A":"x","B":"x"}}"#
    );
    let cycle = "<erp:R><erp:A href=\"#1\"/></erp:R><m id=\"1\"><b href=\"#2\"/></m><m id=\"2\"><a href=\"#1\"/></m>";
    let reply = decode(&wrap(V11, cycle)).unwrap();
    assert_eq!(reply.notes, [Note::CycleCut]);
    assert_eq!(
        json::encode(&reply.body.unwrap()),
        br#"{"R":{"A":{"b":{"a":null}}}}"#
    );
}

#[test]
fn references_cannot_expand_without_bound() {
    let mut bomb = String::from("<erp:R><erp:A href=\"#0\"/></erp:R>");
    for level in 0..20 {
        let next = format!("<x href=\"#{}\"/>", level + 1).repeat(10);
        write!(bomb, "<m id=\"{level}\">{next}</m>").unwrap();
    }
    bomb.push_str("<m id=\"20\">ha</m>");
    let limits = Limits {
        nodes: 10_000,
        ..Limits::default()
    };
    let result = soap::decode(wrap(V11, &bomb).as_bytes(), None, &options(), &limits);
    assert_eq!(result, Err(DecodeError::TooManyNodes { limit: 10_000 }));
}

#[test]
fn the_root_of_a_multipart_reply_is_read_and_its_attachments_left_out() {
    let root = wrap(
        V12,
        "<erp:R><erp:F><i:Include xmlns:i=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:f\"/></erp:F><erp:G>1</erp:G></erp:R>",
    );
    let message = format!(
        "preamble\r\n--b\r\nContent-ID: <f>\r\n\r\nbinary\0\r\n--b\r\nContent-Type: application/xop+xml; charset=UTF-8\r\n\
         Content-ID: <r>\r\nContent-Transfer-Encoding: binary\r\n\r\n{root}\r\n--b--\r\n"
    );
    let kind = "multipart/related; type=\"application/xop+xml\"; start=\"<r>\"; boundary=\"b\"";
    let read = |message: &str, kind: &str| {
        soap::decode(
            message.as_bytes(),
            Some(kind),
            &options(),
            &Limits::default(),
        )
    };
    let reply = read(&message, kind).unwrap();
    assert_eq!(reply.notes, [Note::AttachmentLeftOut]);
    assert_eq!(
        json::encode(&reply.body.unwrap()),
        br#"{"R":{"F":null,"G":"1"}}"#
    );
    assert_eq!(
        read(&message, "multipart/related; boundary=other"),
        Err(DecodeError::Multipart)
    );
    assert_eq!(
        read(&message, "multipart/related"),
        Err(DecodeError::Multipart)
    );
    assert_eq!(
        read(&message, &kind.replace("<r>", "<z>")),
        Err(DecodeError::Multipart)
    );
    assert_eq!(read("--b\r\n\r\n<a", kind), Err(DecodeError::Multipart));
}

#[test]
fn a_call_is_what_its_version_wants() {
    let namespaces = [
        ("erp".to_owned(), "urn:erp&1".to_owned()),
        ("soapenv".to_owned(), "urn:x".to_owned()),
    ];
    for version in [Version::V1_1, Version::V1_2] {
        let bytes = envelope(version, "<erp:H>1</erp:H>", "<erp:A>2</erp:A>", &namespaces).bytes;
        let lenient = SoapOptions {
            lenient: true,
            ..options()
        };
        let reply = soap::decode(&bytes, None, &lenient, &Limits::default()).unwrap();
        assert_eq!(reply.version, version);
        assert_eq!(json::encode(&reply.header), br#"{"H":"1"}"#);
        assert_eq!(json::encode(&reply.body.unwrap()), br#"{"A":"2"}"#);
    }
    let value = |version, action| headers(version, action).unwrap().pop().unwrap();
    assert_eq!(value(Version::V1_1, ""), ("soapaction", "\"\"".to_owned()));
    assert_eq!(
        value(Version::V1_2, "urn:a"),
        (
            "content-type",
            "application/soap+xml; charset=utf-8; action=\"urn:a\"".to_owned()
        )
    );
    assert!(headers(Version::V1_1, "a\"\r\nx: y").is_err());
}

#[track_caller]
fn check_positions(xml: &str, expected: &[PositionKind]) {
    let found: Vec<_> = check_template_positions(xml, "MARK")
        .into_iter()
        .map(|problem| problem.kind)
        .collect();
    assert_eq!(found, expected, "{xml}");
}

#[test]
fn a_value_in_a_place_it_could_break_out_of_is_found() {
    use PositionKind as P;
    check_positions(
        "MARK<a:b c='MARK' d=\"x>MARK\">MARK &amp; MARK</a:b><e/>",
        &[],
    );
    check_positions("<MARK/>", &[P::TagName]);
    check_positions("<a:MARK></a:MARK>", &[P::TagName, P::TagName]);
    check_positions("<a MARK='1'/>", &[P::AttributeName]);
    check_positions("<a MARK/>", &[P::AttributeName]);
    check_positions("<a b=MARK/>", &[P::UnquotedValue]);
    check_positions("<a b='&MARK;'/>", &[P::Reference]);
    check_positions("<a>&MARK;</a>", &[P::Reference]);
    check_positions("<!-- MARK -->", &[P::Comment]);
    check_positions("<a><![CDATA[MARK]]></a>", &[P::CData]);
    check_positions("<?pi MARK?>", &[P::Instruction]);
    check_positions("<!DOCTYPE a>", &[P::Doctype]);
    for broken in [
        "<a>",
        "<a></b>",
        "</a>",
        "<a b='1' b='2'/>",
        "<a b='",
        "<a>&</a>",
        "<!-- ",
    ] {
        check_positions(broken, &[P::NotWellFormed]);
    }
}

fn numbers() -> impl Strategy<Value = Tree> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?"
        .prop_map(|text| Tree::Number(text.into()))
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        numbers(),
        any::<String>().prop_map(Tree::from)
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let member = (
            any::<String>().prop_map(String::into_boxed_str),
            inner.clone(),
        );
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Tree::List),
            prop::collection::vec(member, 0..6).prop_map(|mut members| {
                let mut known = std::collections::HashSet::new();
                members.retain(|(key, _): &(Box<str>, Tree)| known.insert(key.clone()));
                Tree::Map(members)
            })
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_escaped_value_comes_back_in_text_and_attribute(value in any::<String>(), odd in "[\\x00-\\x20<>&'\"\\]a\u{FFFE}]{0,20}") {
        for value in [value, odd] {
            let expected: String = value.chars().filter(|&character| xml::is_allowed(character)).collect();
            let (text, attribute) = (escape_text(&value), escape_attribute(&value));
            let document = format!("<r a=\"{attribute}\" b='{attribute}'><t>{text}</t><u>{attribute}</u></r>");
            let root = xml::parse(&document, &Limits::default()).unwrap();
            prop_assert_eq!(root.attribute(None, "a"), Some(expected.as_str()));
            prop_assert_eq!(root.attribute(None, "b"), Some(expected.as_str()));
            for child in root.elements() {
                prop_assert_eq!(child.text(), expected.as_str());
            }
        }
    }

    #[test]
    fn a_segment_never_changes_the_number_of_segments(values in prop::collection::vec(any::<String>(), 1..5), odd in "[./\\\\%2eE?#;\\x00\t\n ]{1,8}") {
        let base = ::url::Url::parse("https://v.test/api/v1").unwrap();
        let mut segments = values;
        segments.push(odd);
        let query = vec![(segments[0].clone(), segments[0].clone())];
        let path = RenderedPath { segments: segments.clone(), trailing_slash: false };
        if let Ok(url) = target(&base, &path, &query) {
            prop_assert_eq!(url.path_segments().unwrap().count(), segments.len() + 2);
            prop_assert_eq!(url.query_pairs().count(), 1);
            prop_assert_eq!(url.query_pairs().next().unwrap().1, segments[0].as_str());
            prop_assert_eq!(url.host_str(), Some("v.test"));
            prop_assert_eq!(url.fragment(), None);
        } else {
            prop_assert!(segments.iter().any(|segment| ["", ".", ".."].contains(&segment.as_str())));
        }
    }

    #[test]
    fn json_comes_back_as_it_was(tree in trees()) {
        prop_assert_eq!(json::decode(&json::encode(&tree), &Limits::default()).unwrap(), tree);
    }

    #[test]
    fn json_is_accepted_just_when_another_reader_accepts_it(text in "[-+0-9.eE\\[\\]{}:,\" nulltruefalse\\\\u]{0,24}") {
        let ours = json::decode(text.as_bytes(), &Limits::default()).is_ok();
        let theirs = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn decoders_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), markup in "[<>/!?\\[\\]\"'=&;:#a-eE \\-]{0,60}") {
        let limits = Limits::default();
        let wrapped = wrap(V11, &markup);
        let kind = "multipart/related; boundary=a";
        for input in [bytes.as_slice(), markup.as_bytes(), wrapped.as_bytes()] {
            let _ = json::decode(input, &limits);
            let _ = graphql::decode(input, &limits);
            let _ = xml::decode(input, None, &limits);
            let _ = soap::decode(input, None, &options(), &limits);
            let _ = soap::decode(input, Some(kind), &options(), &limits);
        }
        let _ = check_template_positions(&markup, "a");
    }
}
