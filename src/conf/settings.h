// The configuration handed out: what each component's own settings struct gets of it. Pure; the
// Config comes from load(), so every text in it was checked already.
#pragma once

#include "cache/policy.h"
#include "cache/store.h"
#include "conf/config.h"
#include "core/log.h"
#include "core/offload.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "proxy/access.h"
#include "proxy/access_log.h"
#include "proxy/settings.h"
#include "upstream/settings.h"

namespace tributary::conf {

// server.workers, or the cores that this process may use; never more than there are metric threads
// for.
unsigned worker_count(const Config& config);

core::log::Settings log_settings(const Config& config);
core::OffloadSettings offload_settings(const Config& config);
net::ResolverSettings resolver_settings(const Config& config);
net::TlsClientSettings tls_client_settings(const Config& config);
cache::StoreSettings store_settings(const Config& config);
// Without max_object, which the opened store knows.
cache::PolicySettings policy_settings(const Config& config);
upstream::UpstreamSettings upstream_settings(const Config& config);
upstream::AccelerateSettings accelerate_settings(const Config& config);
proxy::Settings proxy_settings(const Config& config);
proxy::AccessSettings access_settings(const Config& config);
net::CidrSet admin_clients(const Config& config);
proxy::AccessLogSettings access_log_settings(const Config& config);
proxy::Protocols protocols(const ListenSection& listen);

}  // namespace tributary::conf
