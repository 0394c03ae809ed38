{
  "targets": [
    {
      "target_name": "lio_poller",
      "sources": ["<!@(node -p \"['host', 'host/kernels'].flatMap((folder) => fs.readdirSync(folder).filter((file) => file.endsWith('.cc')).map((file) => folder + '/' + file)).sort().join(' ')\")"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-O3", "-fno-plt", "-Wall", "-Wextra", "-fno-exceptions", "-fvisibility=hidden"]
    }
  ]
}
