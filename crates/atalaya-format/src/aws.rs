//! Access logs that Amazon's services write as text: load balancers and S3. Those of `CloudFront` are
//! W3C extended logs, see [`super::w3c`].

mod elb;
mod s3;

pub use elb::Elb;
pub use s3::S3Access;
