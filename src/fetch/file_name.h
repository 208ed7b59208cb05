// The local name of a download: one path component that cannot hurt, whoever chose it (V-14, S0-3.4).
//
// Names come from Content-Disposition, from URLs and from Metalink files. What goes: everything up to the last "/" or "\",
// controls, line separators, invisible and bidirectional formatting characters ("gpj.exe" shown as "exe.jpg"), dots, dashes and
// spaces in front (hidden files, options of other programs), dots and spaces at the end. What is replaced by "_":
// < > : " | ? * (as browsers do on every system: the file may end on another's disk) and bytes that are no UTF-8. Names
// that Windows keeps for devices get a "_" in front; ".part" and ".part.json" at the end get one behind, so that no
// server can plant the state of another download. At most kMaxFileName bytes, cut before the extension and between
// characters. The result can be empty: then there was no name in it.
//
// Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "http/url.h"

namespace tributary::fetch {

// NAME_MAX is 255; ".part.json" and a number that tells equal names apart have to fit behind it.
inline constexpr size_t kMaxFileName = 240;
inline constexpr std::string_view kNamelessFile = "index.html";  // as wget and aria2 call it

std::string safe_file_name(std::string_view name);

// The last segment of the path, percent-decoded once (UTF-8, else ISO-8859-1) and made safe; the query has no part in it (as curl and aria2, not
// wget, have it). Empty when the path ends with "/".
std::string file_name_of(const http::Url& url);

// Never empty: from Content-Disposition, else from the URL, else kNamelessFile. `url` should be the one the user named: a
// redirect's target is chosen by the server (CVE-2016-4971).
std::string choose_file_name(const http::FieldSection& response, const http::Url& url);

}  // namespace tributary::fetch
