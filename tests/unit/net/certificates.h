// Certificates made for a test: an authority and leaves, written as PEM files.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>

namespace tributary::net::test {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

struct Leaf {
  std::string certificate, key;  // paths
};

class Authority {
 public:
  Authority(const std::string& folder, const std::string& name) : folder_(folder), name_(name), key_(new_key()) {
    certificate_ = make(name_, key_.get(), "", -60, 3600, true);
    file = folder_ + "/" + name_ + ".pem";
    write(file, [this](FILE* out) { PEM_write_X509(out, certificate_.get()); });
  }

  // `names`: a subjectAltName value ("DNS:good.test,IP:127.0.0.1"). Seconds from now.
  Leaf issue(const std::string& names, long not_before = -60, long not_after = 3600) {
    const std::string stem = folder_ + "/" + name_ + "-" + std::to_string(++serial_);
    const Key key = new_key();
    const Certificate leaf = make("leaf", key.get(), names, not_before, not_after, false);
    const Leaf paths{stem + ".crt", stem + ".key"};
    write(paths.certificate, [&](FILE* out) { PEM_write_X509(out, leaf.get()); });
    write(paths.key, [&](FILE* out) { PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    return paths;
  }

  std::string file;

 private:
  static Key new_key() { return Key(EVP_EC_gen("P-256")); }

  template <class Write>
  static void write(const std::string& path, Write write_to) {
    FILE* out = std::fopen(path.c_str(), "w");
    write_to(out);
    std::fclose(out);
  }

  void extend(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate_ ? certificate_.get() : certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  Certificate make(const std::string& name, EVP_PKEY* key, const std::string& alternative_names, long not_before,
                   long not_after, bool is_authority) {
    Certificate made(X509_new());
    X509* x = made.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial_ + 1000);
    X509_gmtime_adj(X509_getm_notBefore(x), not_before);
    X509_gmtime_adj(X509_getm_notAfter(x), not_after);
    X509_set_pubkey(x, key);
    X509_NAME* subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x, is_authority ? subject : X509_get_subject_name(certificate_.get()));
    extend(x, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    extend(x, NID_subject_key_identifier, "hash");
    if (!alternative_names.empty()) extend(x, NID_subject_alt_name, alternative_names);
    X509_sign(x, key_.get(), EVP_sha256());
    return made;
  }

  std::string folder_, name_;
  Key key_;
  Certificate certificate_;
  long serial_ = 0;
};

}  // namespace tributary::net::test
