{
  "target_defaults": { "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra"] },
  "targets": [
    {
      "target_name": "peers",
      "type": "none",
      "conditions": [["OS=='linux'", { "type": "loadable_module", "sources": ["peers.cc"] }]]
    },
    {
      "target_name": "uv_poll",
      "type": "none",
      "conditions": [["OS!='win'", { "type": "loadable_module", "sources": ["uv_poll.cc"] }]]
    }
  ]
}
