//! The private key of access tokens. Nobody but this area holds it; the public half is put where every area looks for it.

use api::access::{ACCESS_TOKEN_SECS, AUDIENCE, ISSUER};
use api::start::StartError;
use api::{Claims, Secret};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Id, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use std::fmt::{self, Write};
use store::AccessKey;
use uuid::Uuid;

/// Columns of a line in PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// A key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not a P-256 private key in PEM (PKCS #8)")]
pub struct SignerError;

/// Signs access tokens with ES256.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    public: AccessKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.kid)
    }
}

impl Signer {
    /// From a private key in PEM.
    ///
    /// # Errors
    /// It is none, or not on P-256.
    pub fn from_pem(pem: &Secret, now: Timestamp) -> Result<Self, SignerError> {
        let key = EncodingKey::from_ec_pem(pem.expose().as_bytes()).map_err(|_| SignerError)?;
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| SignerError)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| SignerError)?;
        let AlgorithmParameters::EllipticCurve(point) = jwk.algorithm else { return Err(SignerError) };
        Ok(Self { key, public: AccessKey { kid, x: point.x, y: point.y, since: now, retired_at: None } })
    }

    /// From the text of a secret. `name` is the setting that refers to it, for the error.
    ///
    /// # Errors
    /// [`StartError::Malformed`].
    pub fn read(name: &'static str, pem: &Secret, now: Timestamp) -> Result<Self, StartError> {
        let why = "the secret is not a P-256 private key in PEM (PKCS #8)";
        Self::from_pem(pem, now).map_err(|_| StartError::Malformed { name, why })
    }

    /// A new private key in PEM, for machines without a place for secrets.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate_pem() -> Result<Secret, SignerError> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let text = STANDARD.encode(key.map_err(|_| SignerError)?.as_ref());
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(PEM_COLUMNS) {
            let _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(Secret::new(pem))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &AccessKey {
        &self.public
    }

    /// An access token of a session.
    ///
    /// # Errors
    /// The key does not sign: never, once it was read.
    pub fn sign(&self, user: &Id, session: &Id, now: Timestamp) -> Result<String, SignerError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.public.kid.clone());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.clone(),
            sid: session.clone(),
            iat: now.secs(),
            exp: now.plus_secs(ACCESS_TOKEN_SECS).secs(),
            jti: Uuid::new_v4().simple().to_string(),
        };
        encode(&header, &claims, &self.key).map_err(|_| SignerError)
    }
}
