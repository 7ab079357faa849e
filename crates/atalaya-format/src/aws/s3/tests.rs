//! Requests of strangers and operations of S3 itself.

use super::super::super::web::testing::check;

#[test]
fn requests() {
    let head = "79a59df900b949e5 shop-bucket [06/Feb/2024:00:00:38 +0000] 192.0.2.3 arn:aws:iam::1:user/bob 3E57427F3EXAMPLE REST.GET.OBJECT a%2Bb.jpg";
    let tail = r#""-" "S3Console/0.4" - s9lzHYrFp76ZVxRcpX9= SigV4 ECDHE-RSA AuthHeader shop-bucket.s3.amazonaws.com TLSV1.2 - Yes us-west-1"#;
    let line = format!(r#"{head} "GET /a" 200 - HTTP/1.1" 404 NoSuchKey 113 - 7 5 {tail}"#);
    let fields = [
        ("@time", "2024-02-06T00:00:38.000000Z"),
        ("@level", "WARNING"),
        ("@id", "3E57427F3EXAMPLE"),
        ("@user", "arn:aws:iam::1:user/bob"),
        ("@ms", "7"),
        ("client", "192.0.2.3"),
        ("bucket", "shop-bucket"),
        ("operation", "REST.GET.OBJECT"),
        ("key", "a%2Bb.jpg"),
        ("status", "404"),
        ("error_code", "NoSuchKey"),
        ("bytes", "113"),
        ("turn_around_ms", "5"),
        ("user_agent", "S3Console/0.4"),
        ("tls_protocol", "TLSV1.2"),
        ("acl_required", "Yes"),
        ("rest", "us-west-1"),
    ];
    check(&line.replace("\" 200 - HTTP", " HTTP"), "aws-s3", &fields);
    let own = "79a59df900b949e5 shop-bucket [06/Feb/2024:00:00:38 +0000] - - 3E57427F3EXAMPLE S3.EXPIRE.OBJECT a.jpg - - - - 113 - - - - -";
    check(
        own.replace(" - - - - -", " - - \"-\" \"-\" -").as_str(),
        "aws-s3",
        &[
            ("@message", "S3.EXPIRE.OBJECT"),
            ("client", ""),
            ("key", "a.jpg"),
            ("@level", "INFO"),
        ],
    );
}
