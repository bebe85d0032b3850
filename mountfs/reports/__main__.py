from mountfs.reports.child import main

main()
