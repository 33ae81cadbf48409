/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_tls.c - see redis_tls.h.
 */
#include "dataplane/engine/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define HOST_BYTES 128

struct redis_tls {
	SSL_CTX *context;
	BIO_METHOD *socket;
	char host[HOST_BYTES];
};

static int socket_of(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_write(BIO *bio, const char *from, int bytes)
{
	ssize_t sent = send(socket_of(bio), from, (size_t)bytes, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)sent;
}

static int socket_read(BIO *bio, char *to, int bytes)
{
	ssize_t got = recv(socket_of(bio), to, (size_t)bytes, 0);

	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)got;
}

static long socket_control(BIO *bio, int what, long number, void *pointer)
{
	return what == BIO_CTRL_FLUSH;
}

static int trust(SSL_CTX *context, const char *ca_file, char *why, size_t why_bytes)
{
	if (ca_file[0] == '\0') {
		SSL_CTX_set_default_verify_paths(context);
		return 0;
	}
	if (SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1)
		return 0;
	snprintf(why, why_bytes,
		 "%s: no certificates can be read from it: name a PEM file of the authority that "
		 "signed the server's certificate",
		 ca_file);
	return -EINVAL;
}

/* What we show to a server that asks. */
static int identify(SSL_CTX *context, const char *certificate_file, const char *key_file, char *why,
		    size_t why_bytes)
{
	struct stat st;

	if (certificate_file[0] == '\0')
		return 0;
	if (stat(key_file, &st) == 0 && (st.st_mode & 077) != 0) {
		snprintf(why, why_bytes,
			 "%s is a secret, but others may use it (mode %03o); run: chmod 600 %s",
			 key_file, st.st_mode & 0777, key_file);
		return -EACCES;
	}
	if (SSL_CTX_use_certificate_chain_file(context, certificate_file) == 1 &&
	    SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) == 1)
		return 0;
	snprintf(why, why_bytes,
		 "%s and %s: cannot be read, or are not of one pair: both are PEM files",
		 certificate_file, key_file);
	return -EINVAL;
}

int redis_tls_create(struct redis_tls **out, const struct engine_credentials *credentials,
		     const char *host, char *why, size_t why_bytes)
{
	struct redis_tls *tls = calloc(1, sizeof(*tls));
	int err = -ENOMEM;

	snprintf(why, why_bytes, "TLS cannot be set up: %s", strerror(ENOMEM));
	if (tls == NULL)
		return err;
	snprintf(tls->host, sizeof(tls->host), "%s", host);
	tls->context = SSL_CTX_new(TLS_client_method());
	tls->socket = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
	if (tls->context == NULL || tls->socket == NULL)
		goto fail;
	BIO_meth_set_write(tls->socket, socket_write);
	BIO_meth_set_read(tls->socket, socket_read);
	BIO_meth_set_ctrl(tls->socket, socket_control);
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(tls->context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	err = trust(tls->context, credentials->ca_file, why, why_bytes);
	if (err == 0)
		err = identify(tls->context, credentials->certificate_file, credentials->key_file,
			       why, why_bytes);
	if (err < 0)
		goto fail;
	*out = tls;
	return 0;
fail:
	ERR_clear_error();
	redis_tls_destroy(tls);
	return err;
}

void redis_tls_destroy(struct redis_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->socket);
	free(tls);
}

static bool is_address(const char *host)
{
	uint8_t address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

SSL *redis_tls_begin(struct redis_tls *tls, int fd, const char *host)
{
	SSL *session = SSL_new(tls->context);
	BIO *bio = BIO_new(tls->socket);

	if (session == NULL || bio == NULL)
		goto fail;
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	if (!is_address(host) && SSL_set_tlsext_host_name(session, host) != 1)
		goto fail;
	SSL_set_bio(session, bio, bio);
	SSL_set_connect_state(session);
	return session;
fail:
	BIO_free(bio);
	SSL_free(session);
	return NULL;
}

void redis_tls_end(SSL *session)
{
	SSL_free(session);
}

static bool names(X509 *certificate, const char *host)
{
	return is_address(host) ? X509_check_ip_asc(certificate, host, 0) == 1
				: X509_check_host(certificate, host, 0, 0, NULL) == 1;
}

static int check_name(struct redis_tls *tls, SSL *session, const char *host, char *why,
		      size_t why_bytes)
{
	X509 *certificate = SSL_get1_peer_certificate(session);
	bool good =
		certificate != NULL && (names(certificate, host) || names(certificate, tls->host));

	X509_free(certificate);
	if (good)
		return 0;
	snprintf(why, why_bytes, "its certificate is not for %s", host);
	return -EACCES;
}

/* What a call on a session ended in, beyond "not now". */
static int failure(const SSL *session, int result)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);

	if (SSL_get_verify_result(session) != X509_V_OK ||
	    reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ||
	    reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE || reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA)
		return -EACCES;
	if (result == SSL_ERROR_ZERO_RETURN || result == SSL_ERROR_SYSCALL ||
	    reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return -ENOTCONN;
	return -EPROTO;
}

int redis_tls_handshake(struct redis_tls *tls, SSL *session, const char *host, bool *wants_write,
			char *why, size_t why_bytes)
{
	const char *reason;
	long verified;
	int result, err;

	ERR_clear_error();
	result = SSL_do_handshake(session);
	if (result == 1)
		return check_name(tls, session, host, why, why_bytes);
	result = SSL_get_error(session, result);
	*wants_write = result == SSL_ERROR_WANT_WRITE;
	if (*wants_write || result == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	err = failure(session, result);
	verified = SSL_get_verify_result(session);
	reason = ERR_reason_error_string(ERR_peek_last_error());
	if (verified != X509_V_OK)
		snprintf(why, why_bytes, "its certificate is not trusted: %s",
			 X509_verify_cert_error_string(verified));
	else
		snprintf(why, why_bytes, "no TLS came about: %s",
			 err == -ENOTCONN || reason == NULL ? "it closed the connection" : reason);
	ERR_clear_error();
	return err;
}

static ssize_t ended(SSL *session, int result)
{
	ssize_t err;

	result = SSL_get_error(session, result);
	if (result == SSL_ERROR_WANT_READ || result == SSL_ERROR_WANT_WRITE)
		return 0;
	err = failure(session, result);
	ERR_clear_error();
	return err;
}

ssize_t redis_tls_read(SSL *session, void *to, size_t bytes)
{
	int got;

	ERR_clear_error();
	got = SSL_read(session, to, bytes > INT_MAX ? INT_MAX : (int)bytes);
	return got > 0 ? got : ended(session, got);
}

ssize_t redis_tls_write(SSL *session, const void *from, size_t bytes)
{
	int sent;

	ERR_clear_error();
	sent = SSL_write(session, from, bytes > INT_MAX ? INT_MAX : (int)bytes);
	return sent > 0 ? sent : ended(session, sent);
}
