{
  "targets": [
    {
      "target_name": "peers",
      "type": "none",
      "conditions": [
        ["OS=='linux'", {
          "type": "loadable_module",
          "sources": ["peers.cc"],
          "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra"]
        }]
      ]
    }
  ]
}
