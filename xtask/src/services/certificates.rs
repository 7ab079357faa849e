//! Throw-away certificates for servers that are tested with TLS.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};

/// PEM files of one authority and what it signed.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// What a client trusts.
    pub authority: PathBuf,
    /// The server's certificate, its authority, and its key.
    pub server: PathBuf,
    pub server_key: PathBuf,
    /// A client's certificate and key, for servers that ask for one.
    pub client: PathBuf,
    pub client_key: PathBuf,
    /// Another authority that signed nothing here: what a client must not trust.
    pub stranger: PathBuf,
}

/// Writes new certificates for a server at these addresses (and `localhost`) into a folder.
pub fn write(folder: &Path, addresses: &[IpAddr]) -> anyhow::Result<Certificates> {
    let (authority_pem, authority) = authority("atalaya test authority")?;
    let (stranger_pem, _) = self::authority("somebody else's authority")?;

    let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
    server
        .distinguished_name
        .push(DnType::CommonName, "atalaya test server");
    server
        .subject_alt_names
        .extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
    server.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let server_key = KeyPair::generate()?;
    let server_pem = server.signed_by(&server_key, &authority)?.pem();

    let mut client = CertificateParams::new(Vec::new())?;
    client
        .distinguished_name
        .push(DnType::CommonName, "atalaya test client");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client_key = KeyPair::generate()?;
    let client_pem = client.signed_by(&client_key, &authority)?.pem();

    std::fs::create_dir_all(folder)?;
    let file = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    Ok(Certificates {
        authority: file("authority.pem", &authority_pem)?,
        server: file("server.pem", &format!("{server_pem}{authority_pem}"))?,
        server_key: file("server.key", &server_key.serialize_pem())?,
        client: file("client.pem", &client_pem)?,
        client_key: file("client.key", &client_key.serialize_pem())?,
        stranger: file("stranger.pem", &stranger_pem)?,
    })
}

fn authority(name: &str) -> anyhow::Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}
